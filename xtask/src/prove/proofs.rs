//! The proofs: which test, how long.

/// A test in its long form.
pub(super) struct Proof {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// About how long it takes on two cores.
    pub(super) takes: &'static str,
    pub(super) runs: Where,
    pub(super) package: &'static str,
    pub(super) target: &'static str,
    /// The test's whole name.
    pub(super) test: &'static str,
    /// Environment variables that make it long.
    pub(super) settings: &'static [(&'static str, &'static str)],
}

/// What a test runs on.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Where {
    /// What it starts itself.
    Itself,
    /// A process per service.
    Cluster,
}

impl Proof {
    /// How to run it by hand.
    pub(super) fn line(&self) -> String {
        format!("cargo xtask prove --only {}", self.name)
    }
}

/// All of them.
pub(super) const PROOFS: &[Proof] = &[
    Proof {
        name: "kills-sqlite",
        about: "kill -9 of the embedded default under load, 1,000 times: nothing lost, nothing doubled",
        takes: "40 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "crash::nothing_acknowledged_is_lost_or_doubled_by_kills_on_sqlite",
        settings: &[("PARLOR_TEST_CYCLES", "1000")],
    },
    Proof {
        name: "kills-postgresql",
        about: "the same on PostgreSQL, 200 kills and 200 cuts of all connections",
        takes: "25 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "crash::nothing_acknowledged_is_lost_or_doubled_by_kills_on_postgresql",
        settings: &[("PARLOR_TEST_CYCLES", "200")],
    },
    Proof {
        name: "kills-cluster",
        about: "the same on a process per service, all of them killed at once, 100 kills and 100 cuts",
        takes: "5 minutes",
        runs: Where::Cluster,
        package: "parlor-tests",
        target: "e2e",
        test: "crash::nothing_acknowledged_is_lost_or_doubled_by_kills_on_postgresql",
        settings: &[("PARLOR_TEST_CYCLES", "100")],
    },
    Proof {
        name: "chat-kills",
        about: "two chat processes on one log, killed by turns and together under load, 200 times",
        takes: "7 minutes",
        runs: Where::Cluster,
        package: "parlor-tests",
        target: "cluster",
        test: "kills::chat_processes_killed_under_load_lose_nothing_and_double_nothing",
        settings: &[("PARLOR_TEST_CYCLES", "200")],
    },
    Proof {
        name: "power",
        about: "the power goes 200 times under load on SQLite: nothing acknowledged is lost",
        takes: "5 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "power::nothing_acknowledged_is_lost_when_the_power_goes_on_sqlite",
        settings: &[("PARLOR_TEST_CYCLES", "200")],
    },
    Proof {
        name: "disk-full",
        about: "a disk of 32 MB that gets full 100 times: what can't be kept is refused, and room is all that is needed",
        takes: "3 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "disk_full::a_full_disk_refuses_what_it_cannot_keep_and_room_is_all_it_needs_on_sqlite",
        settings: &[("PARLOR_TEST_CYCLES", "100")],
    },
    Proof {
        name: "clock",
        about: "a clock that is set a day ahead, an hour back, a day behind, 100 times: order is by position only",
        takes: "3 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "clock::a_clock_that_jumps_changes_no_order_on_sqlite",
        settings: &[("PARLOR_TEST_CYCLES", "25")],
    },
    Proof {
        name: "slow-readers",
        about: "1,000 connections that never read hold at most 50 MB, are given up, and miss nothing after resuming",
        takes: "3 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "slow::who_never_reads_is_given_up_for_little_memory_and_loses_nothing_on_sqlite",
        settings: &[("PARLOR_TEST_STALLED", "1000")],
    },
    Proof {
        name: "resume-sqlite",
        about: "a feed that is cut anywhere, through 400 kills and removals: what its member may see, each once, in order",
        takes: "15 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "resume::whatever_connections_do_each_hears_what_they_may_once_and_in_order_on_sqlite",
        settings: &[("PARLOR_TEST_CYCLES", "100")],
    },
    Proof {
        name: "resume-postgresql",
        about: "the same on PostgreSQL, 100 kills",
        takes: "5 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "resume::whatever_connections_do_each_hears_what_they_may_once_and_in_order_on_postgresql",
        settings: &[("PARLOR_TEST_CYCLES", "25")],
    },
    Proof {
        name: "removal-race",
        about: "somebody is removed amid 1,000 messages: none sent after it reaches them by query, stream or socket",
        takes: "3 minutes",
        runs: Where::Itself,
        package: "parlor-tests",
        target: "e2e",
        test: "removal::nothing_sent_after_a_removal_reaches_the_removed_one_on_sqlite",
        settings: &[("PARLOR_TEST_SENDS", "1000")],
    },
    Proof {
        name: "newcomers",
        about: "register, and at once be talked to, across three processes, 1,000 times",
        takes: "5 minutes",
        runs: Where::Cluster,
        package: "parlor-tests",
        target: "cluster",
        test: "newcomers::whoever_registers_can_be_talked_to_at_once_every_time",
        settings: &[("PARLOR_TEST_CYCLES", "1000")],
    },
    Proof {
        name: "relay",
        about: "1,000,000 events through Kafka and three crashes of the relay: none missing, none twice, in order",
        takes: "5 minutes",
        runs: Where::Itself,
        package: "parlor-cqrs-kafka",
        target: "kafka",
        test: "crashes::a_relay_that_dies_anywhere_repeats_and_never_skips",
        settings: &[("PARLOR_TEST_EVENTS", "1000000")],
    },
    Proof {
        name: "kafka-outage",
        about: "Kafka down for ten minutes: every command is answered, others' views complete afterwards",
        takes: "12 minutes",
        runs: Where::Cluster,
        package: "parlor-tests",
        target: "cluster",
        test: "kafka_down::with_kafka_down_every_command_is_answered_and_others_views_complete_afterwards",
        settings: &[("PARLOR_TEST_OUTAGE_SECONDS", "600")],
    },
    Proof {
        name: "cluster-figures",
        about: "what a cluster on one machine does, and that Kafka's absence isn't felt",
        takes: "3 minutes",
        runs: Where::Cluster,
        package: "parlor-tests",
        target: "cluster",
        test: "figures::figures_of_a_cluster",
        settings: &[],
    },
    Proof {
        name: "sign-in-alike",
        about: "sign-in and reset take as long whether or not there is an account (security item 6)",
        takes: "10 minutes",
        runs: Where::Itself,
        package: "parlor-auth",
        target: "service",
        test: "alike::security_6_medians_with_and_without_an_account_lie_within_5_ms",
        settings: &[],
    },
];
