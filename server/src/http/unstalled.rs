//! A stream that is given up when the other side takes nothing for long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Fails to write once nothing has been taken for as long as `patience`. Nobody else would end a connection whose other side
/// lives and doesn't read: its window stays closed, and the kernel asks whether it opens for as long as it answers.
pub(super) struct Unstalled<S> {
    stream: S,
    patience: Duration,
    /// Until when a write that waits may go on waiting.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> Unstalled<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, deadline: None }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), cx) {
            self.deadline = None;
            return Poll::Ready(written);
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_and_who_takes_a_little_now_and_then_is_not() {
        let (here, mut there) = tokio::io::duplex(8);
        let mut stream = Unstalled::new(here, PATIENCE);
        let writing = tokio::spawn(async move {
            stream.write_all(&[7; 64]).await.map_err(|error| error.kind())?;
            Ok::<_, io::ErrorKind>(stream)
        });
        let mut taken = [0; 8];
        for _ in 0..7 {
            tokio::time::sleep(PATIENCE / 2).await;
            there.read_exact(&mut taken).await.unwrap();
        }
        let mut stream = writing.await.unwrap().expect("longer than patience, but never idle for so long");
        there.read_exact(&mut taken).await.unwrap();
        // A pause in which nothing was to be written doesn't count.
        tokio::time::sleep(PATIENCE * 2).await;
        stream.write_all(&[7; 8]).await.unwrap();
        let stalled = stream.write_all(&[7]);
        tokio::pin!(stalled);
        timeout(PATIENCE * 19 / 20, &mut stalled).await.expect_err("it is waited for");
        let given_up = timeout(Duration::from_secs(2), stalled).await.expect("not for ever").unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
    }
}
