//! One connection: who it is, where it begins, and then both sides as they like.

use std::time::Duration;

use cqrs_core::{Failure, RefusalKind};
use cqrs_http::{Edge, Problem};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::super::entry::Entry;
use super::super::{Frame, Frames, Live};
use super::said::Said;
use super::wire::{Closing, Over, Wire};

/// How long a client may take to say who it is and where to begin.
const BEGINNING: Duration = Duration::from_secs(10);
/// How often a sign of life is asked for.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client may give none.
const SILENCE: Duration = Duration::from_secs(45);

const MALFORMED: Over = Over::Closed(Closing::for_good(CloseCode::Policy, "malformed-frame"));
const SIGNED_OUT: Over = Over::Closed(Closing::for_good(CloseCode::Policy, "signed-out"));

/// Serves a connection to its end. `entry`: who it is, if the handshake said so.
pub(super) async fn talk(mut wire: Wire, live: Live, edge: Edge, entry: Option<Entry>) {
    let until = Instant::now() + BEGINNING;
    let begun = match timeout_at(until, begin(&mut wire, &live, &edge, entry)).await {
        Ok(begun) => begun,
        Err(_) => Err(Over::Closed(Closing::for_good(CloseCode::Policy, "too-late"))),
    };
    let over = match begun {
        Ok((entry, frames)) => {
            let talk = Talk { wire: &mut wire, live, edge, entry };
            talk.run(frames).await
        }
        Err(over) => over,
    };
    match over {
        Over::Closed(closing) => wire.close(closing).await,
        // A close of the client's is answered by the socket itself.
        Over::Gone => {}
    }
}

/// Finds out who it is, and where to begin.
async fn begin(
    wire: &mut Wire,
    live: &Live,
    edge: &Edge,
    entry: Option<Entry>,
) -> Result<(Entry, Frames), Over> {
    let entry = match entry {
        Some(entry) => entry,
        None => match Said::parse(&wire.next().await?) {
            Some(Said::Authenticate { token }) => {
                Entry::by_token(edge, &token).await.map_err(|problem| not_let_in(&problem))?
            }
            Some(_) => return Err(SIGNED_OUT),
            None => return Err(MALFORMED),
        },
    };
    let cursor = match Said::parse(&wire.next().await?) {
        Some(Said::Start {}) => None,
        Some(Said::Resume { cursor }) => Some(cursor),
        _ => return Err(MALFORMED),
    };
    let frames = live.connect(entry.user, cursor.as_deref(), entry.token.clone());
    Ok((entry, frames.map_err(|failure| not_begun(&failure))?))
}

fn not_let_in(problem: &Problem) -> Over {
    if problem.status().is_server_error() {
        return Over::Closed(Closing::for_now(CloseCode::Again, "unavailable", 2_000));
    }
    SIGNED_OUT
}

fn not_begun(failure: &Failure) -> Over {
    Over::Closed(match failure {
        Failure::EpochChanged => Closing::for_good(CloseCode::Policy, "epoch-changed"),
        Failure::Refused(refused) if refused.kind == RefusalKind::TooManyRequests => {
            let later = refused.retry_after.map_or(30_000, |later| later.as_millis() as u64);
            Closing::for_now(CloseCode::Again, refused.code, later)
        }
        Failure::Refused(_) => Closing::for_good(CloseCode::Policy, "invalid-cursor"),
        _ => Closing::for_now(CloseCode::Again, "unavailable", 2_000),
    })
}

struct Talk<'a> {
    wire: &'a mut Wire,
    live: Live,
    edge: Edge,
    entry: Entry,
}

impl Talk<'_> {
    async fn run(mut self, mut frames: Frames) -> Over {
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                frame = frames.recv() => match frame {
                    Some(Frame::Closed { code, retry_after_ms }) => Err(closed(code, retry_after_ms)),
                    Some(frame) => self.wire.send(frame.to_json()).await,
                    // It had more to say than there was room for.
                    None => Err(closed("too-slow", Some(1_000))),
                },
                said = self.wire.next() => match said {
                    Ok(text) => self.take(&text).await,
                    Err(over) => Err(over),
                },
                _ = heartbeat.tick() => {
                    if self.wire.silence() > SILENCE { Err(Over::Gone) } else { self.wire.ping().await }
                }
            };
            if let Err(over) = done {
                return over;
            }
        }
    }

    /// Does what a client says.
    async fn take(&mut self, text: &str) -> Result<(), Over> {
        match Said::parse(text).ok_or(MALFORMED)? {
            Said::Ping {} => self.wire.send(r#"{"type":"pong"}"#.to_owned()).await,
            Said::Typing { conversation_id } => {
                match self.live.typing(self.entry.user, conversation_id).await {
                    Ok(()) => Ok(()),
                    Err(failure) => self.refuse(&failure.into()).await,
                }
            }
            Said::Authenticate { token } => match Entry::by_token(&self.edge, &token).await {
                Ok(other) if other.user == self.entry.user => {
                    self.entry.token.renew(&other.token);
                    Ok(())
                }
                // A connection doesn't change hands.
                Ok(_) => Err(SIGNED_OUT),
                Err(problem) => self.refuse(&problem).await,
            },
            Said::Start {} | Said::Resume { .. } => Err(MALFORMED),
        }
    }

    async fn refuse(&mut self, problem: &Problem) -> Result<(), Over> {
        let error = json!({"type": "error", "code": problem.code(), "detail": problem.detail()});
        self.wire.send(error.to_string()).await
    }
}

/// As a stream's last event says it.
fn closed(code: &'static str, retry_after_ms: Option<u64>) -> Over {
    let close = match (code, retry_after_ms) {
        ("stopping", _) => CloseCode::Away,
        (_, Some(_)) => CloseCode::Again,
        (_, None) => CloseCode::Policy,
    };
    Over::Closed(Closing { close, code, retry_after_ms })
}
