//! How segments are made and merged, step by step, and how edits and deletions get into them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use cqrs_core::{ColumnKind, StoreError, Value, ViewRows, Writes, params};
use parlor_text::Token;

use super::open::{Indexed, Said};
use super::postings::{Block, Hit, LARGE, PARTS, Posting, Progress, SMALL, blocks, first_of, group_of, key};
use super::{bucket, sql, tokens};

/// How many keys one query asks for at most.
const AT_ONCE: usize = 1_000;

/// Of how many bytes of text the tokens are held at a time: twenty megabytes of them.
const TEXT: usize = 1 << 20;

/// The blocks of how many small groups are merged at a time: of short messages, a megabyte or two.
const GROUPS: usize = 32;

/// What a step does beside what its events change: takes what is deleted in it out of segments; and makes a segment of what was
/// loose, or parts of a large one, if they are due.
pub(super) async fn of_step(view: &dyn ViewRows, deleted: &[Value]) -> Result<Writes, StoreError> {
    let mut out = Writes::default();
    let columns = &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Int];
    let rows = view.rows(sql::PROGRESS.into(), vec![], columns).await?;
    let [closed, merged, last] = rows.first().map_or(Ok([0; 3]), |row| integers(row))?;
    let before = Progress { closed, merged };
    let deleted: HashSet<u64> = integers_of(deleted)?;
    let mut changes = Changes::default();
    let in_segments: Vec<_> = deleted.iter().copied().filter(|position| *position < closed).collect();
    let mut progress = before;
    let end = closed + (1 << SMALL.bits);
    if last >= end {
        progress.closed = end;
        close(view, progress, &deleted, &mut changes, &mut out).await?;
    } else {
        progress.merged += before.due(last);
        merge(view, merged..progress.merged, &deleted, &mut out).await?;
    }
    take_out(view, &in_segments, &mut changes).await?;
    // Of what is merged in this step what is deleted was left out, and there are no blocks yet that could change.
    changes.write(view, progress, &mut out).await?;
    if progress != before {
        out.run(sql::MADE, params![progress.closed, progress.merged]);
    }
    Ok(out)
}

/// Makes a segment of what was said before `progress.closed`. What was said of older messages is to be put to these.
async fn close(
    view: &dyn ViewRows,
    progress: Progress,
    deleted: &HashSet<u64>,
    changes: &mut Changes,
    out: &mut Writes,
) -> Result<(), StoreError> {
    let columns = &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Uuid, ColumnKind::Uuid, ColumnKind::Text];
    let first = progress.closed - (1 << SMALL.bits);
    let rows = view.rows(sql::LOOSE.into(), params![first, progress.closed], columns).await?;
    let mut said = rows.into_iter().map(said).collect::<Result<Vec<_>, _>>()?;
    said.retain(|said| !deleted.contains(&said.message));
    let (made, older) = working(move || {
        let (mut made, mut older) = (Vec::new(), Vec::new());
        // Texts may be long: tokens of so many are held at a time.
        let turns = (said.iter().map(|said| said.content.len()).sum::<usize>() / TEXT + 1) as u64;
        for turn in 0..turns {
            let mut own = Vec::new();
            for said in &said {
                let postings = if said.message < first { &mut older } else { &mut own };
                let Indexed { hit, tokens, .. } = said.indexed();
                let tokens = tokens.into_iter().filter(|token| SMALL.group(*token) % turns == turn);
                postings.extend(tokens.map(|token| Posting { token, hit }));
            }
            in_blocks(|token| SMALL.group(token), first, own, &mut made);
        }
        Ok((made, older))
    })
    .await?;
    changes.put.extend(older);
    write(made, out);
    out.run("DELETE FROM {p}search_edits WHERE event < ?1", params![progress.closed]);
    Ok(())
}

/// Does what takes long where nobody waits behind it.
pub(super) async fn working<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(StoreError::Other(error.to_string())),
        // The process ends.
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
    }
}

/// Makes parts of one large segment of what small ones have, but for what is deleted.
async fn merge(
    view: &dyn ViewRows,
    parts: Range<u64>,
    deleted: &HashSet<u64>,
    out: &mut Writes,
) -> Result<(), StoreError> {
    let segment = parts.start / PARTS;
    let (first, end) = (segment << LARGE.bits, (segment + 1) << LARGE.bits);
    let before = segment * PARTS;
    let groups: Vec<_> = SMALL.groups(parts.start - before..parts.end - before).collect();
    for groups in groups.chunks(GROUPS) {
        let parameters = params![as_json(groups), first, end];
        let rows = view.rows(sql::BLOCKS_OF, parameters, &[ColumnKind::Int, ColumnKind::Bytes]).await?;
        let deleted = deleted.clone();
        let made = working(move || {
            let (mut postings, mut made) = (Vec::new(), Vec::new());
            for row in rows {
                let (key, data) = block(&row)?;
                postings.extend(Block::new(key, data).postings()?);
            }
            postings.retain(|posting| !deleted.contains(&posting.hit.position));
            in_blocks(|token| LARGE.group(token), first, postings, &mut made);
            Ok(made)
        })
        .await?;
        for group in groups {
            out.row(&sql::DROPPED, params![key(*group, first), key(*group, end)]);
        }
        write(made, out);
    }
    Ok(())
}

/// The blocks of a segment that begins at `first`.
fn in_blocks(
    group: impl Fn(Token) -> u64,
    first: u64,
    mut postings: Vec<Posting>,
    made: &mut Vec<(u64, Vec<u8>)>,
) {
    postings.sort_unstable_by_key(|posting| (group(posting.token), *posting));
    postings.dedup();
    for of_group in postings.chunk_by(|a, b| group(a.token) == group(b.token)) {
        blocks(group(of_group[0].token), first, of_group, made);
    }
}

fn write(made: Vec<(u64, Vec<u8>)>, out: &mut Writes) {
    for (key, data) in made {
        out.row(&sql::BLOCK, params![key, data]);
    }
}

/// Finds under which tokens messages are in segments that go.
async fn take_out(view: &dyn ViewRows, deleted: &[u64], changes: &mut Changes) -> Result<(), StoreError> {
    let columns = &[ColumnKind::Int, ColumnKind::Uuid, ColumnKind::Uuid, ColumnKind::Text];
    for positions in deleted.chunks(AT_ONCE) {
        for row in view.rows(sql::WORDINGS, params![as_json(positions)], columns).await? {
            let [Value::Int(position), Value::Uuid(conversation), Value::Uuid(sender), Value::Text(content)] =
                &row[..]
            else {
                return Err(unexpected());
            };
            let hit = Hit { position: *position as u64, bucket: bucket(*conversation) };
            let said = tokens::of_message(*conversation, *sender, content);
            changes.drop.extend(said.into_iter().map(|token| Posting { token, hit }));
        }
    }
    Ok(())
}

/// What changes in segments that there are.
#[derive(Default)]
struct Changes {
    put: BTreeSet<Posting>,
    drop: BTreeSet<Posting>,
}

/// A posting that is put into the block that is, or would be, at this key, or taken out.
#[derive(Clone, Copy)]
struct Change {
    at: u64,
    /// The key of the block if there is none in the segment yet.
    begins: u64,
    posting: Posting,
    put: bool,
}

impl Changes {
    /// Writes the blocks anew that change.
    async fn write(
        self,
        view: &dyn ViewRows,
        progress: Progress,
        out: &mut Writes,
    ) -> Result<(), StoreError> {
        let change = |posting: Posting, put: bool| {
            let position = posting.hit.position;
            let size = progress.size(posting.token, position);
            let group = size.group(posting.token);
            Change { at: key(group, position), begins: key(group, size.segment(position)), posting, put }
        };
        let put = self.put.into_iter().map(|posting| change(posting, true));
        let mut changes: Vec<_> = put.chain(self.drop.into_iter().map(|one| change(one, false))).collect();
        // What is in one block comes together then.
        changes.sort_unstable_by_key(|change| change.at);
        let mut rest = &changes[..];
        while !rest.is_empty() {
            // Changes of one segment aren't parted: a block that isn't there yet would be made twice.
            let end = rest.len().min(AT_ONCE);
            let end = end + rest[end..].iter().take_while(|one| one.begins == rest[end - 1].begins).count();
            let (some, others) = rest.split_at(end);
            rest = others;
            let keys: Vec<_> = some.iter().map(|change| change.at).collect();
            let columns = &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Bytes];
            let found = view.rows(sql::BLOCKS_AT, params![as_json(&keys)], columns).await?;
            let some = some.to_vec();
            write(working(move || changed(&some, &found)).await?, out);
        }
        Ok(())
    }
}

/// The blocks that change, as they are then; `found` has those that are at the changes' keys.
fn changed(changes: &[Change], found: &[Vec<Value>]) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let mut blocks_at = BTreeMap::new();
    for row in found {
        let [Value::Int(at), stored @ ..] = &row[..] else { return Err(unexpected()) };
        blocks_at.insert(*at as u64, block(stored)?);
    }
    let mut decoded: BTreeMap<u64, Vec<Posting>> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for Change { at, begins, posting, put } in changes {
        // The last block before may be another segment's.
        let stored = blocks_at.get(at).filter(|(key, _)| key >= begins);
        let key = stored.map_or(*begins, |(key, _)| *key);
        let postings = match (decoded.entry(key), stored) {
            (Entry::Occupied(entry), _) => entry.into_mut(),
            (Entry::Vacant(entry), Some((key, data))) => entry.insert(Block::new(*key, data).postings()?),
            (Entry::Vacant(entry), None) => entry.insert(Vec::new()),
        };
        match (postings.binary_search(posting), put) {
            (Err(n), true) => postings.insert(n, *posting),
            (Ok(n), false) => drop(postings.remove(n)),
            _ => continue,
        }
        keys.insert(key);
    }
    let mut made = Vec::new();
    for key in keys {
        blocks(group_of(key), first_of(key), &decoded[&key], &mut made);
    }
    Ok(made)
}

/// A row of [`sql::LOOSE`].
fn said(row: Vec<Value>) -> Result<Said, StoreError> {
    let Ok(
        [
            Value::Int(event),
            Value::Int(message),
            Value::Uuid(conversation),
            Value::Uuid(sender),
            Value::Text(content),
        ],
    ) = <[Value; 5]>::try_from(row)
    else {
        return Err(unexpected());
    };
    Ok(Said { event: event as u64, message: message as u64, conversation, sender, content })
}

/// A row's key and data.
fn block(row: &[Value]) -> Result<(u64, &[u8]), StoreError> {
    match row {
        [Value::Int(key), Value::Bytes(data)] => Ok((*key as u64, data)),
        _ => Err(unexpected()),
    }
}

fn integers<const N: usize>(row: &[Value]) -> Result<[u64; N], StoreError> {
    let all: Vec<u64> = integers_of(row)?;
    all.try_into().map_err(|_| unexpected())
}

fn integers_of<C: FromIterator<u64>>(values: &[Value]) -> Result<C, StoreError> {
    let integer = |value: &Value| match value {
        Value::Int(value) => Ok(*value as u64),
        _ => Err(unexpected()),
    };
    values.iter().map(integer).collect()
}

fn unexpected() -> StoreError {
    StoreError::Corrupt(
        "the view search has a row that isn't what its columns hold: rebuild the view".to_owned(),
    )
}

/// A list of numbers as the statements take it.
pub(super) fn as_json(numbers: &[u64]) -> String {
    let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
    format!("[{}]", numbers.join(","))
}
