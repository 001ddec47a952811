//! Asks a running instance, by its socket.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::config::Config;

use super::{Answer, Line, Progress, SOCKET, Task, TaskError};

/// A connection to the instance that runs on a data folder; `None` if none does.
pub(super) async fn connect(data: &Path) -> anyhow::Result<Option<UnixStream>> {
    let path = data.join(SOCKET);
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error).with_context(|| {
            format!(
                "{}: the running instance can't be reached; run this as the user that it runs as",
                path.display()
            )
        }),
    }
}

/// Has a task carried out by the instance that runs on the configured data folder; an error if none does.
pub async fn ask_running(config: &Config, task: &Task) -> anyhow::Result<Answer> {
    let Some(stream) = connect(&config.data_dir).await? else {
        let folder = config.data_dir.display();
        anyhow::bail!("no Parlor runs on the data folder {folder}: start one, then run this beside it");
    };
    ask(stream, task, |_| ()).await
}

/// Has a task carried out there.
pub(super) async fn ask(
    stream: UnixStream,
    task: &Task,
    mut report: impl FnMut(Progress),
) -> anyhow::Result<Answer> {
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post("/")
        .header(HOST, "parlor")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(task)?)))?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.context("the running instance went away; what it had begun can be started again")?;
        pending.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if !status.is_success() {
            continue;
        }
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            match serde_json::from_slice(&line).context("the running instance is of another version")? {
                Line::Progress(progress) => report(progress),
                Line::Answer(answer) => return Ok(answer),
                Line::Failed(why) => return Err(TaskError(why).into()),
            }
        }
    }
    if status.is_success() {
        anyhow::bail!("the running instance stopped before it was done");
    }
    anyhow::bail!("the running instance answered {status}: {}", String::from_utf8_lossy(&pending))
}
