//! How long a test is: short as a rule, longer where `cargo xtask prove` says so.

/// The number that this environment variable says, or else the short form's.
///
/// # Panics
/// If the variable says something else.
pub fn length(variable: &str, short: usize) -> usize {
    std::env::var(variable).ok().map_or(short, |text| text.parse().expect("a number"))
}

/// How often what a test repeats is repeated: `PARLOR_TEST_CYCLES`, or else `short` times.
pub fn cycles(short: usize) -> usize {
    length("PARLOR_TEST_CYCLES", short)
}
