//! Answers every message with the same words. Stop it, kill it, start it again: each message gets exactly one answer.
//!
//! `PARLOR_URL=http://127.0.0.1:8080 BOT_EMAIL=echo@example.org BOT_PASSWORD=… cargo run --example echo_bot`

use std::{env, fs};

use futures::TryStreamExt as _;
use parlor_client::{Credentials, Event, NewMessage, Parlor, derived_id};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let setting = |name, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let state = setting("BOT_STATE", "echo-bot.cursor");
    let (email, password) = (setting("BOT_EMAIL", "echo@example.org"), env::var("BOT_PASSWORD")?);

    // It has nothing better to do than to try again.
    let parlor =
        Parlor::builder(&setting("PARLOR_URL", "http://127.0.0.1:8080")).retries(u32::MAX).build()?;
    match parlor.register(&email, &password, "Echo").await {
        Err(error) if error.code() != Some("email-taken") => return Err(error.into()),
        _ => {}
    }
    let me = parlor.sign_in(Credentials::new(email, password).device("echo bot")).await?;

    let mut feed = parlor.live(fs::read_to_string(&state).ok().as_deref());
    while let Some(frame) = feed.try_next().await? {
        if let Event::MessageSent(sent) = &frame.event
            && let Some(message) = sent.message().filter(|message| message.sender_id != me.user_id)
        {
            // The answer's id follows from the message's: answered twice, it is still one answer.
            let answer =
                NewMessage::new(&message.content).id(derived_id(message.id, "echo")).reply_to(message.id);
            match parlor.send(message.conversation_id, answer).await {
                // Removed from the conversation, or the message is gone: nothing to answer.
                Err(error) if error.problem().is_none() || error.is_passing() => return Err(error.into()),
                _ => {}
            }
        }
        // Only after the answer, and as a whole: whatever happens in between, the message comes again.
        if let Some(cursor) = frame.cursor {
            fs::write(format!("{state}.new"), cursor)?;
            fs::rename(format!("{state}.new"), &state)?;
        }
        if frame.event == (Event::CaughtUp {}) {
            println!("listening");
        }
    }
    Ok(())
}
