//! Bars while mail is transferred: one line an account, with messages, octets, speed and time left.
//!
//! All connections of an account move the same bar. Nothing is drawn unless somebody watches.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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

    /// Bars on standard error.
    pub fn on_terminal() -> Bars {
        Bars::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Bars {
        Bars { all: MultiProgress::with_draw_target(target), bars: Mutex::default() }
    }

    /// Runs `write` while no bar is on the terminal; it must not touch the bars.
    pub fn lifted(&self, write: impl FnOnce()) {
        self.all.suspend(write);
    }

    /// Shows that `account` is doing `what`, of which no end is known.
    pub fn waiting(&self, account: &str, what: impl Into<Cow<'static, str>>) {
        if self.all.is_hidden() {
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
                "{prefix}: {msg} {bar:20} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left",
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
