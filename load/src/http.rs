//! HTTP/1.1 as a load needs it: requests written into a buffer that is used again, answers read where they arrive. A client's work
//! shares the machine with the server's, so it does no more than this; everything around the load goes through `parlor-client`.

use std::io::Write as _;
use std::ops::Range;

use anyhow::{Context as _, bail};

/// Headers of an answer that are looked at; more than this many are an error.
const HEADERS: usize = 64;

/// A request without its content.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// The path with its query.
    pub path: &'a str,
    /// The value of `host`.
    pub host: &'a str,
    /// The value of `authorization`, unless nobody asks.
    pub authorization: Option<&'a str>,
    /// The value of `idempotency-key`, for commands.
    pub key: Option<&'a str>,
}

/// Appends a request to `out`.
pub fn write_request(out: &mut Vec<u8>, head: Head<'_>, body: &[u8]) {
    // Writing to a vector can't fail.
    let _ = write!(out, "{} {} HTTP/1.1\r\nhost: {}\r\n", head.method, head.path, head.host);
    if let Some(authorization) = head.authorization {
        let _ = write!(out, "authorization: {authorization}\r\n");
    }
    if let Some(key) = head.key {
        let _ = write!(out, "idempotency-key: {key}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(out, "content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// A whole answer, in the buffer that it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Where its content is.
    pub body: Range<usize>,
    /// Whether the connection ends with it.
    pub closes: bool,
}

/// How the end of an answer's content is told.
#[derive(Debug, Clone, Copy)]
enum Length {
    Known(usize),
    Chunked,
}

/// Reads one answer after the other out of what arrives.
#[derive(Debug, Default)]
pub struct Reader {
    /// What arrived, and room for more.
    buffer: Vec<u8>,
    filled: usize,
    head: Option<(u16, usize, Length, bool)>,
}

impl Reader {
    /// Where what arrives next is to be put.
    pub fn space(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.filled < 4 * 1024 {
            self.buffer.resize((self.buffer.len() * 2).max(16 * 1024), 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Takes note that so many bytes were put into [`Reader::space`]; gives the answer once it is whole.
    ///
    /// # Errors
    /// If it isn't HTTP/1.1.
    pub fn read(&mut self, bytes: usize) -> anyhow::Result<Option<Answer>> {
        self.filled += bytes;
        let (status, begin, length, closes) = match self.head {
            Some(head) => head,
            None => match parse_head(&self.buffer[..self.filled])? {
                Some(head) => *self.head.insert(head),
                None => return Ok(None),
            },
        };
        let body = match length {
            Length::Known(length) => (self.filled >= begin + length).then_some(begin..begin + length),
            Length::Chunked => self.join_chunks(begin)?,
        };
        Ok(body.map(|body| Answer { status, body, closes }))
    }

    /// The bytes of a range that [`Reader::read`] gave.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Forgets the answer that was given, so that the next one can be read.
    pub fn next(&mut self) {
        self.filled = 0;
        self.head = None;
    }

    /// Puts the pieces of a chunked content together once all are there (RFC 9112, section 7.1).
    fn join_chunks(&mut self, begin: usize) -> anyhow::Result<Option<Range<usize>>> {
        let mut pieces = Vec::new();
        let mut at = begin;
        loop {
            match httparse::parse_chunk_size(&self.buffer[at..self.filled]) {
                Ok(httparse::Status::Complete((head, size))) => {
                    let size = usize::try_from(size).context("a chunk is longer than memory")?;
                    let piece = at + head..at + head + size;
                    at = piece.end + 2;
                    if self.filled < at {
                        return Ok(None);
                    }
                    if size == 0 {
                        break;
                    }
                    pieces.push(piece);
                }
                Ok(httparse::Status::Partial) => return Ok(None),
                Err(_) => bail!("an answer's chunk has no size"),
            }
        }
        let mut end = begin;
        for piece in pieces {
            let length = piece.len();
            self.buffer.copy_within(piece, end);
            end += length;
        }
        Ok(Some(begin..end))
    }
}

fn parse_head(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, Length, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(begin) = response.parse(bytes).context("this isn't HTTP")? else {
        return Ok(None);
    };
    let status = response.code.context("an answer has no status")?;
    // 204 and 304 have no content (RFC 9110, section 6.4.1).
    let mut length = (status == 204 || status == 304).then_some(Length::Known(0));
    let mut closes = false;
    for header in response.headers.iter() {
        let says = |value: &str| header.value.eq_ignore_ascii_case(value.as_bytes());
        if header.name.eq_ignore_ascii_case("content-length") && length.is_none() {
            let said = std::str::from_utf8(header.value).ok().and_then(|said| said.trim().parse().ok());
            length = Some(Length::Known(said.context("content-length is no number")?));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") && says("chunked") {
            length = Some(Length::Chunked);
        } else if header.name.eq_ignore_ascii_case("connection") && says("close") {
            closes = true;
        }
    }
    let length = length.context("an answer doesn't say how long it is")?;
    Ok(Some((status, begin, length, closes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(reader: &mut Reader, bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
        reader.space()[..bytes.len()].copy_from_slice(bytes);
        reader.read(bytes.len())
    }

    #[test]
    fn an_answer_is_given_once_its_last_byte_is_there_wherever_it_is_cut() {
        for whole in [
            &b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\n\r\n",
        ] {
            let mut reader = Reader::default();
            for byte in &whole[..whole.len() - 1] {
                assert_eq!(feed(&mut reader, &[*byte]).unwrap(), None);
            }
            let answer = feed(&mut reader, &whole[whole.len() - 1..]).unwrap().unwrap();
            assert_eq!((answer.status, reader.bytes(answer.body)), (201, &b"hello"[..]));
            reader.next();
            let next =
                feed(&mut reader, b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap().unwrap();
            assert_eq!((next.status, next.body.len(), next.closes), (204, 0, true));
        }
    }

    #[test]
    fn what_is_not_http_or_has_no_length_is_an_error() {
        for wrong in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(feed(&mut Reader::default(), wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
