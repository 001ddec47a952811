//! A feed over server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Method, Response};

use crate::client::whole;
use crate::connection::{MOST, in_time};
use crate::{Error, Parlor, Problem, Result};

/// An open connection.
pub(crate) struct EventStream {
    response: Response,
    silence: Duration,
    lines: Lines,
    ready: VecDeque<String>,
}

impl EventStream {
    /// Opens one that resumes after the event that had this cursor; from now on, if there is none.
    pub(crate) async fn open(parlor: &Parlor, token: &str, cursor: Option<&str>) -> Result<Self> {
        let mut request = parlor
            .request(Method::GET, "/v1/stream", &[])?
            .header(ACCEPT, "text/event-stream")
            .header(AUTHORIZATION, format!("Bearer {token}"));
        if let Some(cursor) = cursor {
            request = request.header("last-event-id", cursor);
        }
        let silence = parlor.silence();
        let response = in_time(silence, request.send()).await?;
        if !response.status().is_success() {
            let (status, headers) = (response.status(), response.headers().clone());
            let body = in_time(silence, whole(response)).await?;
            return Err(Error::Refused(Box::new(Problem::of(status, &headers, &body))));
        }
        Ok(Self { response, silence, lines: Lines::default(), ready: VecDeque::new() })
    }

    /// The data of the next event; `None` if the connection has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Ok(Some(data));
            }
            let Some(chunk) = in_time(self.silence, self.response.chunk()).await? else { return Ok(None) };
            self.lines.add(&chunk, &mut self.ready)?;
        }
    }
}

/// Cuts bytes into lines, and puts the data of each event together.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    data: Option<String>,
    /// The last byte was a carriage return: a line feed after it ends no second line.
    returned: bool,
}

impl Lines {
    fn add(&mut self, bytes: &[u8], found: &mut VecDeque<String>) -> Result<()> {
        for &byte in bytes {
            let returned = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if returned => {}
                b'\n' | b'\r' => self.end_line(found)?,
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > MOST {
                return Err(Error::Unreadable(format!("an event of the feed has more than {MOST} bytes")));
            }
        }
        Ok(())
    }

    fn end_line(&mut self, found: &mut VecDeque<String>) -> Result<()> {
        if self.line.is_empty() {
            found.extend(self.data.take());
            return Ok(());
        }
        let line = String::from_utf8(std::mem::take(&mut self.line))
            .map_err(|error| Error::Unreadable(format!("the feed isn't UTF-8: {error}")))?;
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_are_cut_and_the_lines_end() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ": hello||id: 1|data: {\"a\": \"ü😀\"}||data:x|data: y||:|".replace('|', end);
            for size in 1..text.len() {
                let (mut lines, mut found) = (Lines::default(), VecDeque::new());
                for part in text.as_bytes().chunks(size) {
                    lines.add(part, &mut found).unwrap();
                }
                assert_eq!(found, ["{\"a\": \"ü😀\"}", "x\ny"], "{end:?} {size}");
            }
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let (mut lines, mut found) = (Lines::default(), VecDeque::new());
        let line = format!("data: {}\n", "x".repeat(1000));
        let refused = (0..2000).find_map(|_| lines.add(line.as_bytes(), &mut found).err());
        assert!(matches!(refused, Some(Error::Unreadable(_))), "{refused:?}");
        assert!(lines.add(&vec![b'x'; MOST + 1], &mut found).is_err());
    }
}
