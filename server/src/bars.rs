//! What progress bars on a terminal share.

use std::fmt::Write;

use indicatif::{HumanCount, ProgressState, ProgressStyle};

/// A bar of this form, in which `{rate}` is how many a second, as a whole number.
pub(crate) fn style(form: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
        // A bar that can't be written is none that anybody looks at.
        let _ = write!(out, "{}/s", HumanCount(whole(state.per_sec())));
    })
}

/// The nearest whole number; none for what is none, as before the first step.
fn whole(rate: f64) -> u64 {
    if rate.is_finite() && rate > 0.0 { rate.round() as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_whole_number() {
        assert_eq!(HumanCount(whole(5_891_779.800_5)).to_string(), "5,891,780");
        assert_eq!([whole(0.4), whole(-1.0), whole(f64::NAN), whole(f64::INFINITY)], [0; 4]);
    }
}
