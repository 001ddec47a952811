//! Chance that can be repeated.

use std::env;

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// Random choices from a seed.
pub struct Dice {
    seed: u64,
    rng: StdRng,
}

impl Dice {
    /// From `PARLOR_TEST_SEED`, or from a seed of chance; printed either way, so that a failed run can be repeated.
    pub fn new(test: &str) -> Self {
        let seed = match env::var("PARLOR_TEST_SEED") {
            Ok(seed) => seed.parse().expect("PARLOR_TEST_SEED is a number"),
            Err(_) => rand::random(),
        };
        println!("{test}: PARLOR_TEST_SEED={seed}");
        Self::of(seed)
    }

    /// From this seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, rng: StdRng::seed_from_u64(seed) }
    }

    /// Dice for a part of the test that runs beside others, so that each one's throws depend on the seed alone.
    #[must_use]
    pub fn part(&self, part: u64) -> Self {
        Self::of(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(part))
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    /// Whether something of this chance, in percent, happens.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A name that no other test's run has.
    pub fn word(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }
}
