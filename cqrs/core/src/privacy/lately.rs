//! Caches of what belongs to the events that are taken in now.

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// How much of such a cache is for what was asked for more than once. That is everything, for a while, and then nothing ever again:
/// an entry's age tells more than how often it was asked for. By default it would be 97 %, and what is new would soon go, before
/// handlers that are behind come to it.
const ASKED_FOR_OFTEN: f64 = 0.1;

/// A cache of about `bytes`, whose entries have about `each`.
pub(super) fn of_lately<K: Hash + Eq, V: Clone, W: Weighter<K, V> + Clone>(
    bytes: u64,
    each: u64,
    weighter: W,
) -> Cache<K, V, W> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity((bytes / each) as usize)
        .weight_capacity(bytes)
        .hot_allocation(ASKED_FOR_OFTEN)
        .build();
    let options = options.expect("both capacities are set");
    Cache::with_options(options, weighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Each;

    impl Weighter<u64, u64> for Each {
        fn weight(&self, _: &u64, _: &u64) -> u64 {
            100
        }
    }

    #[test]
    fn what_is_new_stays_until_much_else_has_come_however_often_older_was_asked_for() {
        let cache = of_lately(1_000_000, 100, Each);
        for n in 0..10_000 {
            cache.insert(n, n);
            cache.get(&n);
        }
        for n in 10_000..15_000 {
            cache.insert(n, n);
        }
        let left = (10_000..15_000).filter(|n| cache.get(n).is_some()).count();
        assert!(left > 4_500, "of 5,000 new ones {left} are left, where there is room for 10,000");
        assert!(cache.weight() <= 1_000_000);
    }
}
