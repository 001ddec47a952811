//! The socket by which operators' commands reach a running instance: who may open it is who may do everything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use futures::StreamExt as _;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{Desk, Line, Task, TaskError};

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";

/// Listens in the data folder. The socket is made under another name first: it appears with its mode.
pub fn listen(data: &Path) -> std::io::Result<UnixListener> {
    let (path, draft) = (data.join(SOCKET), data.join("admin.new"));
    for old in [&path, &draft] {
        // The folder is this process's alone: a socket that is there was left by a process that is gone.
        match fs::remove_file(old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&draft)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
    fs::rename(&draft, &path)?;
    Ok(listener)
}

/// Does what operators ask for until `stop` turns true, then takes the socket away.
pub(crate) async fn serve(
    listener: UnixListener,
    desk: Arc<Desk>,
    data: &Path,
    mut stop: watch::Receiver<bool>,
) {
    let router = Router::new().route("/", post(carry_out)).with_state(desk);
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the operators' socket failed");
    }
    let _ = fs::remove_file(data.join(SOCKET));
}

/// Answers with a line of JSON for each step. An operator who goes away ends the task.
async fn carry_out(State(desk): State<Arc<Desk>>, Json(task): Json<Task>) -> Body {
    let (lines, mut receive) = mpsc::unbounded_channel();
    let running = tokio::spawn(async move {
        let progress = lines.clone();
        let result = desk.run(task, move |report| drop(progress.send(Line::Progress(report)))).await;
        let last = match result {
            Ok(answer) => Line::Answer(answer),
            Err(TaskError(why)) => Line::Failed(why),
        };
        let _ = lines.send(last);
    });
    let running = AbortOnDropHandle::new(running);
    let lines = futures::stream::poll_fn(move |cx| {
        let _while_somebody_listens = &running;
        receive.poll_recv(cx)
    });
    Body::from_stream(lines.map(|line| {
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(text))
    }))
}
