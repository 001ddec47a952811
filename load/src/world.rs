//! The people of a load and the conversations that they are in. An application's key makes and signs them in, which needs no
//! passwords, no mails, and isn't held up by the limits on those.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parking_lot::RwLock;
use parlor_client::{Call, NewConversation, NewUser, Parlor};
use uuid::Uuid;

/// How many are made at the same time.
const AT_ONCE: usize = 8;

/// How many people there are, and in what.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How many people.
    pub people: usize,
    /// How many conversations.
    pub rooms: usize,
    /// How many people are in each.
    pub members: usize,
}

/// Somebody who is signed in.
pub struct Person {
    /// Their id.
    pub id: Uuid,
    /// For what isn't measured.
    pub parlor: Parlor,
    /// The conversations that they are in, by their number in [`World::rooms`].
    pub rooms: Vec<usize>,
    authorization: RwLock<Arc<str>>,
}

impl Person {
    /// Somebody who is there already, signed in anew.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn again(application: &Parlor, id: Uuid) -> anyhow::Result<Self> {
        let signed_in = application.issue_tokens(id, Some("load")).await.context("signing people in")?;
        let authorization = format!("Bearer {}", signed_in.access_token).into();
        let parlor = application.as_signed_in(signed_in).await?;
        Ok(Self { id, parlor, rooms: Vec::new(), authorization: RwLock::new(authorization) })
    }
}

/// A conversation.
pub struct Room {
    /// Its id.
    pub id: Uuid,
    /// Who is in it, by their number in [`World::people`]; the first of them made it.
    pub members: Vec<usize>,
}

/// The people of a load and their conversations.
pub struct World {
    /// Everybody.
    pub people: Vec<Person>,
    /// Every conversation.
    pub rooms: Vec<Room>,
    /// The application that made them.
    pub application: Parlor,
    /// Raised when somebody's token is another one.
    generation: AtomicU64,
    said: AtomicU64,
}

impl World {
    /// Makes people and puts them into conversations. `run` tells them from those of other runs on the same instance.
    ///
    /// # Errors
    /// If the server refuses, as with a key that it doesn't know.
    pub async fn make(base: &str, key: &str, run: &str, size: Size) -> anyhow::Result<Self> {
        let application = Parlor::builder(base).service_key(key).reads_own_writes(false).build()?;
        let made: Vec<(Person, Option<String>)> = stream::iter(0..size.people)
            .map(|n| person(&application, run, n))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        // Chat must have heard of everybody before it lets them in, and has once it heard of those who were made last.
        let known: Vec<String> = made.iter().filter_map(|(_, position)| position.clone()).collect();
        let people = made.into_iter().map(|(person, _)| person).collect();
        let mut world = Self::of(application, people);
        let size = Size { members: size.members.min(size.people), ..size };
        let rooms: Vec<Room> = stream::iter(0..size.rooms)
            .map(|n| world.room(n, size, &known))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for room in rooms {
            world.add(room);
        }
        Ok(world)
    }

    /// These people, in no conversation yet.
    pub fn of(application: Parlor, people: Vec<Person>) -> Self {
        Self {
            people,
            rooms: Vec::new(),
            application,
            generation: AtomicU64::new(0),
            said: AtomicU64::new(0),
        }
    }

    /// Counts a conversation in.
    pub fn add(&mut self, room: Room) {
        for &member in &room.members {
            self.people[member].rooms.push(self.rooms.len());
        }
        self.rooms.push(room);
    }

    async fn room(&self, n: usize, size: Size, known: &[String]) -> anyhow::Result<Room> {
        let step = step(n, size.people);
        let members: Vec<usize> = (0..size.members).map(|m| (n + m * step) % size.people).collect();
        let others = members[1..].iter().map(|&m| self.people[m].id);
        let room = NewConversation::group(others).title(format!("Load {n}"));
        let creating = self.people[members[0]].parlor.create_conversation(&room);
        let creating = known.iter().rev().take(AT_ONCE).cloned().fold(creating, Call::after);
        let made = creating.await.with_context(|| format!("making the conversation {n}"))?;
        Ok(Room { id: made.id, members })
    }

    /// What somebody's requests carry as `authorization`.
    pub fn authorization(&self, person: usize) -> Arc<str> {
        self.people[person].authorization.read().clone()
    }

    /// Differs from what it was once tokens were replaced.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The number of the next message: no two of a run say the same.
    pub(crate) fn next_message(&self) -> u64 {
        self.said.fetch_add(1, Ordering::Relaxed)
    }

    /// Signs everybody in anew: access tokens last some minutes only.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn sign_in(&self) -> anyhow::Result<()> {
        stream::iter(&self.people)
            .map(|person| async move {
                let signed_in = self.application.issue_tokens(person.id, Some("load")).await?;
                *person.authorization.write() = format!("Bearer {}", signed_in.access_token).into();
                anyhow::Ok(())
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await
            .context("signing everybody in anew")?;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Signs everybody in anew now and then, until dropped; gives why it couldn't.
    pub async fn stay_signed_in(&self, every: Duration) -> anyhow::Error {
        loop {
            tokio::time::sleep(every).await;
            if let Err(error) = self.sign_in().await {
                return error;
            }
        }
    }
}

/// Makes the nth person and signs them in; with where that is to be found.
async fn person(application: &Parlor, run: &str, n: usize) -> anyhow::Result<(Person, Option<String>)> {
    let user = NewUser::new(format!("Load {n}")).external_id(format!("load-{run}-{n}"));
    let made = application.create_user(&user).answer().await.context("making the people of the load")?;
    let person = Person::again(application, made.body.id).await?;
    Ok((person, made.position))
}

/// By how many people the members of the nth conversation are apart, so that somebody is with others in each: without a divisor in
/// common with how many there are, so that nobody is in it twice.
fn step(n: usize, people: usize) -> usize {
    let common = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let people = people.max(1);
    let mut steps = (0..people).map(|more| 1 + (n / people + more) % people);
    steps.find(|&step| common(step, people) <= 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_in_a_conversation_twice() {
        for people in [1, 10, 11, 42, 100] {
            for n in 0..2000 {
                let members: std::collections::HashSet<_> =
                    (0..10.min(people)).map(|m| (n + m * step(n, people)) % people).collect();
                assert_eq!(members.len(), 10.min(people), "{n} of {people}");
            }
        }
    }
}
