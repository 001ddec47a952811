//! What failed, said once more at the end: among thousands of lines nobody finds it, and CI keeps the last ones only.

/// How many lines are kept of one failure: its place, its message, both sides of a comparison.
const LINES: usize = 8;
/// How many failures are kept: from there on it is one thing that broke many.
const FAILURES: usize = 40;

/// Picks the failures out of what the tests of cargo and of Node print.
#[derive(Default)]
pub(super) struct Failures {
    all: Vec<Vec<String>>,
    open: bool,
}

impl Failures {
    /// Takes the next line.
    pub(super) fn take(&mut self, line: &str) {
        let text = line.trim();
        if text.contains(" panicked at ") || text.starts_with("not ok ") {
            self.open = self.all.len() < FAILURES;
            if self.open {
                self.all.push(Vec::new());
            }
        } else if text.is_empty() || text == "stack backtrace:" || text.starts_with("note: run with ") {
            self.open = false;
        }
        if let Some(last) = self.all.last_mut().filter(|_| self.open) {
            last.push(line.trim_end().to_owned());
            self.open = last.len() < LINES;
        }
    }

    /// All of them, one after the other; nothing if there are none.
    pub(super) fn told(&self) -> String {
        self.all.iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(printed: &str) -> String {
        let mut failures = Failures::default();
        printed.lines().for_each(|line| failures.take(line));
        failures.told()
    }

    #[test]
    fn a_panic_is_told_without_its_backtrace_and_without_what_passed() {
        let printed = "test one ... ok\n\n---- two stdout ----\nthread 'two' (7) panicked at a.rs:1:2:\nassertion failed\n  \
            left: 1\n right: 2\nstack backtrace:\n   0: std\n\nthread 'three' panicked at b.rs:3:4:\nboom\nnote: run with it\nmore\n";
        let wanted = "thread 'two' (7) panicked at a.rs:1:2:\nassertion failed\n  left: 1\n right: 2\n\
            thread 'three' panicked at b.rs:3:4:\nboom";
        assert_eq!(told(printed), wanted);
    }

    #[test]
    fn a_failure_in_node_is_told_with_the_beginning_of_what_it_says() {
        let printed = format!("ok 1 - one\nnot ok 2 - two\n{}", "  more\n".repeat(20));
        assert_eq!(told(&printed), format!("not ok 2 - two{}", "\n  more".repeat(LINES - 1)));
        assert_eq!(told("ok 1 - one\n"), "");
    }
}
