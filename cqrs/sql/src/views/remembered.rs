//! What queries found, kept in memory until something that it depends on changes.
//!
//! Who asks says what the answer depends on ([`Watch::on`]) before reading, and projections say what they change
//! ([`cqrs_core::Writes::touch`]). A step's changes are told once it is committed and before anybody is told how far the view
//! has come, so that no position is ever shown with an answer from before it. Whatever else may have happened to the store (a
//! step that failed, perhaps after its commit; another process's steps; a place that can't be read; a rebuilt view) makes all be forgotten. Where queries
//! read from a copy, or what other processes keep, nothing is remembered.
//!
//! An answer is remembered only if the store was no further then than this process knows it to be ([`Views::settled`]). So all
//! that is remembered belongs together: who was removed from a conversation never meets a page from after that.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cqrs_core::Position;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use uuid::Uuid;

use super::Views;

/// How many bytes of answers are kept at most, for each service.
const MOST_BYTES: u64 = 32 << 20;
/// What an answer takes beside itself, and what each thing that it depends on.
const OVERHEAD: u64 = 160;
const PER_DEPENDENCY: u64 = 24;
/// About how large an answer is, to begin with.
const USUAL_BYTES: u64 = 8 << 10;
/// How many things are depended on at least before those that nobody depends on any more are looked for.
const SWEEP_FROM: usize = 4_096;

/// What an answer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnswerKey {
    /// Which question.
    pub question: &'static str,
    /// Of what; nil where it is of nothing in particular.
    pub of: Uuid,
    /// Asked by whom; nil where it is the same for all.
    pub by: Uuid,
    /// How much of it.
    pub limit: usize,
}

/// How often something has changed.
type Cell = Arc<AtomicU64>;

struct Answer {
    value: Arc<dyn Any + Send + Sync>,
    bytes: u64,
    depends_on: Vec<(Cell, u64)>,
    /// The number of changes up to which it is known to hold.
    checked: AtomicU64,
}

impl Answer {
    fn holds(&self) -> bool {
        self.depends_on.iter().all(|(cell, seen)| cell.load(Ordering::Acquire) == *seen)
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<AnswerKey, Arc<Answer>> for Bytes {
    fn weight(&self, _: &AnswerKey, answer: &Arc<Answer>) -> u64 {
        OVERHEAD + answer.bytes + PER_DEPENDENCY * answer.depends_on.len() as u64
    }
}

/// The cells of what is depended on.
struct Cells {
    by_what: HashMap<Uuid, Cell>,
    sweep_at: usize,
}

pub(super) struct Remembered {
    answers: Cache<AnswerKey, Arc<Answer>, Bytes>,
    cells: Mutex<Cells>,
    /// Every answer depends on this.
    everything: Cell,
    /// How many changes there were of anything that is depended on.
    changes: AtomicU64,
    /// How far this process knows each view to be in each source.
    places: Mutex<HashMap<(&'static str, &'static str), Position>>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            answers: Cache::with_weighter((MOST_BYTES / USUAL_BYTES) as usize, MOST_BYTES, Bytes),
            cells: Mutex::new(Cells { by_what: HashMap::new(), sweep_at: SWEEP_FROM }),
            everything: Cell::default(),
            changes: AtomicU64::default(),
            places: Mutex::default(),
        }
    }
}

impl Remembered {
    fn touch(&self, touched: &[Uuid]) {
        let cells = self.cells.lock();
        let mut any = false;
        for cell in touched.iter().filter_map(|what| cells.by_what.get(what)) {
            cell.fetch_add(1, Ordering::Release);
            any = true;
        }
        if any {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    fn forget_all(&self) {
        self.everything.fetch_add(1, Ordering::Release);
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// What an answer depends on, as it was before the answer was read.
pub struct Watch<'a> {
    remembered: &'a Remembered,
    depends_on: Vec<(Cell, u64)>,
}

impl Watch<'_> {
    /// The answer depends on these. To be said before any of it is read.
    pub fn on(&mut self, what: impl IntoIterator<Item = Uuid>) {
        let mut cells = self.remembered.cells.lock();
        for what in what {
            let cell = cells.by_what.entry(what).or_default().clone();
            let seen = cell.load(Ordering::Acquire);
            self.depends_on.push((cell, seen));
        }
        if cells.by_what.len() >= cells.sweep_at {
            cells.by_what.retain(|_, cell| Arc::strong_count(cell) > 1);
            cells.sweep_at = SWEEP_FROM.max(cells.by_what.len() * 2);
        }
    }
}

/// What [`Views::settled`] found to be so.
pub struct Settled(());

impl Views {
    /// What was remembered under `key`, if nothing that it depends on has changed.
    pub fn recall<T: Any + Send + Sync>(&self, key: &AnswerKey) -> Option<Arc<T>> {
        let remembered = &self.0.remembered;
        let answer = remembered.answers.get(key)?;
        // Read first: what changes while it is checked makes the next one who asks check again.
        let changes = remembered.changes.load(Ordering::Acquire);
        if answer.checked.load(Ordering::Relaxed) != changes {
            if !answer.holds() {
                remembered.answers.remove(key);
                return None;
            }
            answer.checked.store(changes, Ordering::Relaxed);
        }
        answer.value.clone().downcast().ok()
    }

    /// Begins to read something that may be remembered; nothing where nothing is.
    pub fn watch(&self) -> Option<Watch<'_>> {
        if self.is_elsewhere() {
            return None;
        }
        let remembered = &self.0.remembered;
        let everything = remembered.everything.clone();
        let seen = everything.load(Ordering::Acquire);
        Some(Watch { remembered, depends_on: vec![(everything, seen)] })
    }

    /// That the store has these views no further than this process knows it. To be asked for once an answer was read, and
    /// before it is remembered.
    pub async fn settled(&self, views: &'static [&'static str]) -> Option<Settled> {
        let remembered = &self.0.remembered;
        for view in views.iter().copied() {
            let known: Vec<_> = {
                let places = remembered.places.lock();
                let of_view = places.iter().filter(|((name, _), _)| *name == view);
                of_view.map(|((_, source), place)| (*source, *place)).collect()
            };
            if known.is_empty() {
                return None;
            }
            for (source, place) in known {
                let found = self.place(view, self.generation(view), source).await.ok()?;
                if found.map_or(Position(0), |(position, _)| position) != place {
                    return None;
                }
            }
        }
        Some(Settled(()))
    }

    /// How far this process knows a view to be in a source: what is remembered is no older. 0 where it didn't bring it there
    /// itself and hasn't looked.
    pub fn known_at(&self, view: &'static str, source: &'static str) -> Position {
        self.0.remembered.places.lock().get(&(view, source)).copied().unwrap_or(Position(0))
    }

    /// Remembers under `key` what was read since `watch` began, about `bytes` large.
    pub fn remember<T: Any + Send + Sync>(
        &self,
        _: &Settled,
        key: AnswerKey,
        watch: Watch<'_>,
        value: Arc<T>,
        bytes: usize,
    ) {
        let depends_on = watch.depends_on;
        let answer = Answer { value, bytes: bytes as u64, depends_on, checked: AtomicU64::new(u64::MAX) };
        if answer.holds() {
            self.0.remembered.answers.insert(key, Arc::new(answer));
        }
    }

    /// A step of a live view was taken, or failed: nobody knows how far it came.
    pub(super) fn settle(
        &self,
        view: &'static str,
        source: &'static str,
        taken: Option<(Position, &[Uuid])>,
    ) {
        let remembered = &self.0.remembered;
        match taken {
            Some((to, touched)) => {
                // In this order: what is remembered at the new place was read after all of this.
                remembered.touch(touched);
                remembered.places.lock().insert((view, source), to);
            }
            None => remembered.forget_all(),
        }
    }

    /// The store says that a view has come to `place`: unless this process brought it there, somebody else did.
    pub(crate) fn found_at(&self, view: &'static str, source: &'static str, place: Position) {
        let remembered = &self.0.remembered;
        if remembered.places.lock().get(&(view, source)) != Some(&place) {
            remembered.forget_all();
            remembered.places.lock().insert((view, source), place);
        }
    }

    /// Where the views are can't be learnt: they may change unseen.
    pub(crate) fn lost_sight(&self) {
        self.0.remembered.forget_all();
    }

    /// A view's tables were swapped for others.
    pub(super) fn swapped(&self) {
        self.0.remembered.forget_all();
    }
}
