//! What the kernel is to reach, as shares of the best peer.

use parlor_contest::{Measured, Work};

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Figure {
    /// Operations in a second: more is better.
    Rate,
    /// The 99th percentile: less is better.
    P99,
    /// The median: less is better.
    P50,
    /// The last second's operations as a share of the first's, within the kernel's own run.
    Steady,
}

/// One line to reach.
pub(crate) struct Goal {
    pub(crate) work: Work,
    /// What it says, as a table's line begins.
    pub(crate) what: &'static str,
    pub(crate) kernel: &'static str,
    /// Peers are those whose names begin so; the best of them counts.
    pub(crate) peers: &'static [&'static str],
    pub(crate) clients: usize,
    pub(crate) figure: Figure,
    /// At least so many times the best peer's, or at most where less is better.
    pub(crate) reach: f64,
}

/// The crates that keep their events in PostgreSQL.
const POSTGRES: &[&str] = &["postgres-es", "esrs", "es-entity", "disintegrate"];
const SQLITE: &[&str] = &["sqlite-es"];

const fn goal(
    work: Work,
    what: &'static str,
    kernel: &'static str,
    peers: &'static [&'static str],
    clients: usize,
    figure: Figure,
    reach: f64,
) -> Goal {
    Goal { work, what, kernel, peers, clients, figure, reach }
}

pub(crate) const GOALS: &[Goal] = {
    use Figure::{P50, P99, Rate, Steady};
    use Work::{K1, K2, K3, K4};
    const PG: &str = "kernel-postgres";
    const LITE: &str = "kernel-sqlite";
    &[
        goal(K1, "append, 1 client", PG, POSTGRES, 1, Rate, 1.2),
        goal(K1, "append, 8 clients", PG, POSTGRES, 8, Rate, 2.5),
        goal(K1, "append, 32 clients", PG, POSTGRES, 32, Rate, 5.0),
        goal(K1, "append, 32 clients, p99", PG, POSTGRES, 32, P99, 1.0),
        goal(K1, "append, 32 clients, beside UmaDB's gRPC", PG, &["umadb-grpc"], 32, Rate, 1.3),
        goal(
            K1,
            "append, 32 clients, SQLite FULL beside UmaDB embedded",
            LITE,
            &["umadb-embedded"],
            32,
            Rate,
            1.0,
        ),
        goal(K1, "append, 32 clients, SQLite FULL beside NORMAL", LITE, SQLITE, 32, Rate, 4.0),
        goal(K2, "one hot conversation, 32 clients", PG, POSTGRES, 32, Rate, 30.0),
        goal(K2, "the last second beside the first", PG, &[], 32, Steady, 0.9),
        goal(K2, "one hot conversation, beside UmaDB's gRPC", PG, &["umadb-grpc"], 32, Rate, 1.3),
        goal(
            K2,
            "one hot conversation, SQLite FULL beside UmaDB embedded",
            LITE,
            &["umadb-embedded"],
            32,
            Rate,
            1.0,
        ),
        goal(K2, "one hot conversation, SQLite FULL beside NORMAL", LITE, SQLITE, 32, Rate, 30.0),
        goal(K2, "the last second beside the first, SQLite", LITE, &[], 32, Steady, 0.9),
        goal(K3, "append behind 10,000 events, cold", "kernel-postgres-cold", POSTGRES, 1, P50, 1.2),
        goal(K3, "append behind 10,000 events, warm", "kernel-postgres-thread", POSTGRES, 1, P50, 0.6),
        goal(K3, "append behind 10,000 events, cold, SQLite", "kernel-sqlite-cold", SQLITE, 1, P50, 1.2),
        goal(K3, "append behind 10,000 events, warm, SQLite", "kernel-sqlite-thread", SQLITE, 1, P50, 0.6),
        goal(K4, "replay into a table", PG, POSTGRES, 1, Rate, 10.0),
        goal(K4, "replay into a table, SQLite", LITE, SQLITE, 1, Rate, 10.0),
    ]
};

/// How the kernel stands to a goal.
pub(crate) struct Reached {
    pub(crate) kernel: f64,
    /// The best peer, and what it came to; of a goal within the kernel's own run, its first second.
    pub(crate) best: (String, f64),
    pub(crate) ratio: f64,
    pub(crate) met: bool,
}

impl Goal {
    fn of(&self, run: &Measured) -> f64 {
        match self.figure {
            Figure::Rate => run.per_second(),
            Figure::P99 => run.p99_ms,
            Figure::P50 => run.p50_ms,
            Figure::Steady => run.last_second as f64,
        }
    }

    /// Whether it is a time rather than a rate.
    pub(crate) fn less_is_better(&self) -> bool {
        matches!(self.figure, Figure::P99 | Figure::P50)
    }

    /// How it stands; nothing if either side wasn't measured.
    pub(crate) fn reached(&self, all: &[Measured]) -> Option<Reached> {
        let alike = |run: &&Measured| run.work == self.work && run.clients == self.clients;
        let own = all.iter().filter(alike).find(|run| run.contestant == self.kernel)?;
        let kernel = self.of(own);
        let best = if matches!(self.figure, Figure::Steady) {
            ("its first second".to_owned(), own.first_second as f64)
        } else {
            let peers = all
                .iter()
                .filter(alike)
                .filter(|run| self.peers.iter().any(|peer| run.contestant.starts_with(peer)));
            let order = |a: &&Measured, b: &&Measured| self.of(a).total_cmp(&self.of(b));
            // Who is the best is who does most, also where latencies are compared at the same load.
            let best = match self.figure {
                Figure::P50 => peers.min_by(order)?,
                _ => peers.max_by(|a, b| a.per_second().total_cmp(&b.per_second()))?,
            };
            (best.contestant.clone(), self.of(best))
        };
        let ratio = kernel / best.1;
        let met = if self.less_is_better() { ratio <= self.reach } else { ratio >= self.reach };
        Some(Reached { kernel, best, ratio, met })
    }
}
