//! Bars while mail is transferred: one line an account, with messages, octets, speed and time left.
//!
//! All connections of an account move the same bar. Nothing is drawn unless somebody watches.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::event::Progress;
use super::words;
use crate::error::safe_line;

/// One account's line.
struct Bar {
    line: ProgressBar,
    expected: u64,
    arrived: u64,
    octets: u64,
}

/// The bars of all accounts.
pub struct Bars {
    all: MultiProgress,
    bars: Mutex<BTreeMap<String, Bar>>,
}

impl Bars {
    /// Bars that nobody sees.
    pub fn hidden() -> Bars {
        Bars::on(ProgressDrawTarget::hidden())
    }

    /// Bars on standard error. A process has one standard error, so all of them share its lines.
    pub fn on_terminal() -> Bars {
        static STDERR: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
        Bars { all: STDERR.clone(), bars: Mutex::default() }
    }

    fn on(target: ProgressDrawTarget) -> Bars {
        Bars { all: MultiProgress::with_draw_target(target), bars: Mutex::default() }
    }

    /// Runs `write` while no bar is on the terminal; it must not touch the bars.
    pub fn lifted<R>(&self, write: impl FnOnce() -> R) -> R {
        self.all.suspend(write)
    }

    /// Shows that `account` is doing `what`, of which no end is known; a line that it has already stays.
    pub fn waiting(&self, account: &str, what: &'static str) {
        let has_one = || self.bars.lock().unwrap_or_else(PoisonError::into_inner).contains_key(account);
        if self.all.is_hidden() || has_one() {
            return;
        }
        let line = self.all.add(ProgressBar::new_spinner());
        line.set_style(style("{prefix}: {msg} {spinner}"));
        line.set_prefix(safe_line(account));
        line.set_message(what);
        line.enable_steady_tick(Duration::from_millis(120));
        self.put(account, Bar { line, expected: 0, arrived: 0, octets: 0 });
    }

    /// Moves the account's bar.
    pub fn step(&self, account: &str, step: Progress) {
        if self.all.is_hidden() {
            return;
        }
        if let Progress::Expected { messages, octets } = step {
            let line = self.all.add(ProgressBar::new(octets));
            line.set_style(style(
                "{prefix}: {msg} [{bar:20}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left",
            ));
            line.set_prefix(safe_line(account));
            let bar = Bar { line, expected: messages, arrived: 0, octets };
            bar.show();
            self.put(account, bar);
            return;
        }
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bar) = bars.get_mut(account) else { return };
        match step {
            Progress::Expected { .. } => {}
            Progress::Octets(n) => bar.line.inc(n),
            Progress::Messages(n) => {
                bar.arrived += n;
                bar.show();
            }
        }
    }

    /// Takes the account's bar away.
    pub fn end(&self, account: &str) {
        if let Some(bar) = self.bars.lock().unwrap_or_else(PoisonError::into_inner).remove(account) {
            bar.line.finish_and_clear();
        }
    }

    fn put(&self, account: &str, bar: Bar) {
        let old = self.bars.lock().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned(), bar);
        if let Some(old) = old {
            old.line.finish_and_clear();
        }
    }
}

impl Bar {
    fn show(&self) {
        // The expectation was an estimate; what is on the wire is the truth.
        if self.line.position() > self.octets {
            self.line.set_length(self.line.position());
        }
        self.line.set_message(format!("{} of {} messages", words::count(self.arrived), words::count(self.expected)));
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file and each is drawn in a test; a wrong one would fall back to plain bars.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use indicatif::{InMemoryTerm, TermLike};

    use super::*;
    use crate::report::console::{Console, Terminal};

    /// Both streams of a program that runs in a terminal.
    struct Screen(InMemoryTerm);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
            self.0.write_str(&text).map(|()| bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn watched() -> (InMemoryTerm, Console<Screen, Screen>) {
        let term = InMemoryTerm::new(12, 120);
        let bars = Bars::on(ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255));
        let terminal = Terminal { watched: true, ..Terminal::default() };
        (term.clone(), Console::new(Screen(term.clone()), Screen(term), terminal, bars))
    }

    #[test]
    fn lines_stand_above_the_bar_and_the_bar_goes() {
        let (term, console) = watched();
        console.bars.waiting("work", "working");
        assert!(term.contents().starts_with("work: working"), "{}", term.contents());
        console.bars.step("work", Progress::Expected { messages: 1000, octets: 300_000 });
        console.bars.step("work", Progress::Octets(150_000));
        console.bars.step("work", Progress::Messages(500));
        for n in 0..3 {
            console.data(&format!("line {n}"));
            console.note(&format!("note {n}"));
        }
        let lines: Vec<String> = term.contents().lines().map(str::to_owned).collect();
        assert_eq!(lines[..6], ["line 0", "note 0", "line 1", "note 1", "line 2", "note 2"]);
        let bar = "work: 500 of 1,000 messages [==========>         ] 150.00 kB of 300.00 kB, ";
        assert!(lines[6].starts_with(bar), "{}", lines[6]);
        assert_eq!(lines.len(), 7);
        console.bars.end("work");
        console.note("last");
        assert_eq!(term.contents().lines().count(), 7);
        assert_eq!(term.contents().lines().last(), Some("last"));
    }

    #[test]
    fn connections_move_the_bars_of_their_accounts_at_once() {
        let (term, console) = watched();
        for account in ["home", "work"] {
            console.bars.step(account, Progress::Expected { messages: 100, octets: 100 });
        }
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (console, account) = (&console, if n % 2 == 0 { "home" } else { "work" });
                scope.spawn(move || {
                    for _ in 0..25 {
                        console.bars.step(account, Progress::Octets(2));
                        console.bars.step(account, Progress::Messages(1));
                        console.note("x");
                    }
                });
            }
        });
        let text = term.contents();
        for account in ["home", "work"] {
            assert!(text.contains(&format!("{account}: 100 of 100 messages")), "{text}");
        }
        assert!(text.contains("200 B of 200 B"), "{text}");
        assert!(text.lines().rev().skip(2).all(|l| l == "x"), "{text}");
    }

    #[test]
    fn nobody_watching_nothing_is_kept() {
        let bars = Bars::hidden();
        bars.waiting("work", "x");
        bars.step("work", Progress::Expected { messages: 1, octets: 1 });
        bars.step("work", Progress::Octets(1));
        bars.end("work");
        assert!(bars.bars.lock().unwrap().is_empty());
    }
}
