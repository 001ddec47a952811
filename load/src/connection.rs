//! A connection on which one request follows the other, without waiting in the thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::http::{Answer, Head, Reader, write_request};
use crate::work::Kind;

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) kind: Kind,
    /// When it was to be sent and when it was, from the load's start.
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) room: u32,
    /// Of the message that it sends.
    pub(crate) content: u64,
}

/// One connection, of one person or of nobody.
pub(crate) struct Connection {
    pub(crate) person: usize,
    /// Requests so far, by which conversations take turns.
    pub(crate) round: usize,
    pub(crate) pending: Option<Pending>,
    token: Token,
    address: SocketAddr,
    host: String,
    stream: Option<TcpStream>,
    authorization: Option<Arc<str>>,
    generation: u64,
    out: Vec<u8>,
    written: usize,
    reader: Reader,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr, token: Token, person: usize) -> Self {
        Self {
            person,
            round: token.0,
            pending: None,
            token,
            address,
            host: address.to_string(),
            stream: None,
            authorization: None,
            generation: u64::MAX,
            out: Vec::with_capacity(1024),
            written: 0,
            reader: Reader::default(),
        }
    }

    /// Connects, unless it is connected.
    pub(crate) fn connect(&mut self, registry: &Registry) -> anyhow::Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        let stream = TcpStream::connect_timeout(&self.address, CONNECTING)
            .with_context(|| format!("no connection to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        registry.register(
            &mut SourceFd(&stream.as_raw_fd()),
            self.token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Ends the connection; the next request makes another.
    pub(crate) fn disconnect(&mut self) {
        // Closing it takes it out of the poll, too.
        self.stream = None;
        self.reader.next();
        self.out.clear();
        self.written = 0;
    }

    /// Takes this token from now on, unless it has it.
    pub(crate) fn authorize(&mut self, generation: u64, authorization: impl FnOnce() -> Arc<str>) {
        if self.generation != generation {
            self.generation = generation;
            self.authorization = Some(authorization());
        }
    }

    /// Sends a request, as much of it as can be at once.
    pub(crate) fn send(&mut self, head: Head<'_>, body: &[u8], pending: Pending) -> std::io::Result<()> {
        self.out.clear();
        self.written = 0;
        let head = Head { host: &self.host, authorization: self.authorization.as_deref(), ..head };
        write_request(&mut self.out, head, body);
        self.pending = Some(pending);
        self.flush()
    }

    /// Sends what is left of the request.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while self.written < self.out.len() {
            match stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there; gives the answer if that was its end.
    pub(crate) fn receive(&mut self) -> anyhow::Result<Option<Answer>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            let space = self.reader.space();
            let room = space.len();
            match stream.read(space) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(bytes) => {
                    // Nothing follows a whole answer, and less than there was room for was all there is (epoll(7), "short read").
                    let answer = self.reader.read(bytes)?;
                    if answer.is_some() || bytes < room {
                        return Ok(answer);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("the connection broke"),
            }
        }
    }

    /// An answer's content.
    pub(crate) fn content(&self, answer: &Answer) -> &[u8] {
        self.reader.bytes(answer.body.clone())
    }

    /// Makes ready for the next request.
    pub(crate) fn finish(&mut self, answer: &Answer) {
        self.reader.next();
        if answer.closes {
            self.disconnect();
        }
    }
}
