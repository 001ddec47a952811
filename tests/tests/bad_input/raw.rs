//! Requests as bytes, for what no HTTP client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came back: a status, if any, and everything as text.
#[derive(Debug)]
pub struct Raw {
    /// The first answer's status; `None` if the connection was closed without a word.
    pub status: Option<u16>,
    /// All of it.
    pub text: String,
}

/// Sends bytes and reads until the server closes the connection, or says no more.
pub async fn send(base: &str, bytes: &[u8]) -> Raw {
    let address = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ =
        timeout(Duration::from_secs(10), stream.write_all(bytes)).await.expect("the server reads or closes");
    let mut answer = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(Ok(read)) = timeout(patience(&answer), stream.read(&mut buffer)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    Raw { status, text }
}

/// For the first bytes there is time; once there are some, the rest comes at once.
fn patience(answer: &[u8]) -> Duration {
    if answer.is_empty() { Duration::from_secs(10) } else { Duration::from_millis(300) }
}
