//! How segments are made and merged, step by step, and how edits and deletions get into them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use cqrs_core::{ColumnKind, StoreError, Value, ViewRows, Writes, params};
use parlor_text::Token;

use super::open::{Indexed, Said};
use super::postings::{Block, Hit, LARGE, PARTS, Posting, Progress, SMALL, blocks, first_of, group_of, key};
use super::{bucket, sql, tokens};

/// How many keys one query asks for at most.
const AT_ONCE: usize = 1_000;

/// What a step does beside what its events change: takes what is deleted in it out of segments; and makes a segment of what was
/// loose, or a part of a large segment, if one is due.
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
    if last >= SMALL.segment(closed) + (1 << SMALL.bits) {
        progress.closed = SMALL.segment(closed) + (1 << SMALL.bits);
        close(view, progress, &deleted, &mut changes, &mut out).await?;
    } else if in_segments.is_empty() && closed >= (merged / PARTS + 1) << LARGE.bits {
        // Of what is merged nothing else changes in the step.
        progress.merged += 1;
        merge(view, merged, &mut out).await?;
    }
    take_out(view, &in_segments, &mut changes).await?;
    changes.write(view, before, &mut out).await?;
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
        let (mut own, mut older) = (Vec::new(), Vec::new());
        for said in said {
            let postings = if said.message < first { &mut older } else { &mut own };
            let Indexed { hit, tokens, .. } = said.indexed();
            postings.extend(tokens.into_iter().map(|token| Posting { token, hit }));
        }
        let mut made = Vec::new();
        in_blocks(|token| SMALL.group(token), first, own, &mut made);
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
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Other(error.to_string())))
}

/// Makes a part of a large segment of what small ones have.
async fn merge(view: &dyn ViewRows, number: u64, out: &mut Writes) -> Result<(), StoreError> {
    let (first, part) = ((number / PARTS) << LARGE.bits, number % PARTS);
    let end = first + (1 << LARGE.bits);
    let groups: Vec<_> = SMALL.groups(part).collect();
    let parameters = params![as_json(&groups), first, end];
    let rows = view.rows(sql::BLOCKS_OF, parameters, &[ColumnKind::Int, ColumnKind::Bytes]).await?;
    let made = working(move || {
        let mut postings = Vec::new();
        for row in rows {
            let (key, data) = block(&row)?;
            postings.extend(Block::new(key, data).postings()?);
        }
        let mut made = Vec::new();
        in_blocks(|token| LARGE.group(token), first, postings, &mut made);
        Ok(made)
    })
    .await?;
    for group in groups {
        out.row(&sql::DROPPED, params![key(group, first), key(group, end)]);
    }
    write(made, out);
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

/// The postings of blocks, by their keys.
type Decoded = BTreeMap<u64, Vec<Posting>>;

impl Changes {
    /// Writes the blocks anew that change.
    async fn write(
        self,
        view: &dyn ViewRows,
        progress: Progress,
        out: &mut Writes,
    ) -> Result<(), StoreError> {
        let sized = |posting: &Posting| progress.size(posting.token, posting.hit.position);
        let at = |posting: &Posting| key(sized(posting).group(posting.token), posting.hit.position);
        let keys: Vec<_> =
            self.put.iter().chain(&self.drop).map(at).collect::<BTreeSet<_>>().into_iter().collect();
        let (mut found, mut decoded) = (BTreeMap::new(), Decoded::new());
        let columns = &[ColumnKind::Int, ColumnKind::Int, ColumnKind::Bytes];
        for keys in keys.chunks(AT_ONCE) {
            for row in view.rows(sql::BLOCKS_AT, params![as_json(keys)], columns).await? {
                let [Value::Int(at), block_row @ ..] = &row[..] else { return Err(unexpected()) };
                let (key, data) = block(block_row)?;
                found.insert(*at as u64, key);
                if let Entry::Vacant(entry) = decoded.entry(key) {
                    entry.insert(Block::new(key, data).postings()?);
                }
            }
        }
        // The block that is at a posting's position, or is to be: the last before it may be another segment's.
        let place = |posting: &Posting| {
            let (size, first) = (sized(posting), sized(posting).segment(posting.hit.position));
            let own = found.get(&at(posting)).filter(|key| first_of(**key) >= first);
            own.copied().ok_or_else(|| key(size.group(posting.token), first))
        };
        let mut changed = BTreeSet::new();
        for posting in &self.put {
            let key = place(posting).unwrap_or_else(|begins| begins);
            let postings = decoded.entry(key).or_default();
            if let Err(n) = postings.binary_search(posting) {
                postings.insert(n, *posting);
                changed.insert(key);
            }
        }
        for posting in &self.drop {
            let Ok(key) = place(posting) else { continue };
            let postings = decoded.entry(key).or_default();
            if let Ok(n) = postings.binary_search(posting) {
                postings.remove(n);
                changed.insert(key);
            }
        }
        let mut made = Vec::new();
        for key in changed {
            blocks(group_of(key), first_of(key), &decoded[&key], &mut made);
        }
        write(made, out);
        Ok(())
    }
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
