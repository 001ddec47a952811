//! What is said on a WebSocket, for the API's description.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::super::Frame;
use super::super::described::{FrameSchema, Named, add, one_of};

/// A frame of the server's.
pub(super) enum SocketFrame {}

impl SocketFrame {
    fn described() -> Vec<FrameSchema> {
        let mut frames = Frame::described();
        frames.push(FrameSchema::new("PongFrame", "pong", "The answer to a ping."));
        let refused =
            FrameSchema::new("ErrorFrame", "error", "What the client said was understood and refused.")
                .saying("code", "As a problem's `code`.")
                .saying("detail", "What is wrong, and what to do.");
        frames.push(refused);
        frames
    }
}

impl PartialSchema for SocketFrame {
    fn schema() -> RefOr<Schema> {
        one_of(
            &Self::described(),
            "What the server says on a WebSocket: live frames, and answers to the client's.",
        )
    }
}

impl ToSchema for SocketFrame {
    fn name() -> Cow<'static, str> {
        "SocketFrame".into()
    }

    fn schemas(schemas: &mut Named) {
        add(Self::described(), schemas);
    }
}
