//! Lines for a person: a line a mailbox that changed, and a last line that says how things stand.
//!
//! Standard output gets what was done; standard error gets trouble, notices and bars. When nobody watches and no
//! detail was asked for, only the last line and the trouble are left, so that a log or a mail from cron stays short.

use std::io::Write;

use super::console::{Console, Tone};
use super::count::{Outcome, Tallies, Tally};
use super::event::{Counts, Event, Report, Summary};
use super::words::{self, Detail};
use super::{Output, Run, Verbosity, plan};
use crate::error::{safe_line, safe_text};
use crate::mail::MailboxName;

/// Renders events as lines, with bars when somebody watches.
pub struct Human<O, E> {
    console: Console<O, E>,
    output: Output,
    tallies: Tallies,
}

impl<O: Write + Send, E: Write + Send> Human<O, E> {
    pub(super) fn new(console: Console<O, E>, output: Output) -> Self {
        Human { console, output, tallies: Tallies::default() }
    }

    fn verbose(&self) -> bool {
        self.output.verbosity == Verbosity::Verbose
    }

    /// Tells what only somebody who asked for every detail wants to read.
    fn detail(&self, account: &str, text: impl FnOnce() -> String) {
        if self.verbose() {
            self.console.note(&format!("{}: {}", safe_line(account), text()));
        }
    }

    fn trouble(&self, account: &str, event: &Event<'_>) {
        let colour = self.console.terminal.colour_err;
        for (n, line) in words::trouble(account, event, &self.output.again).iter().enumerate() {
            let line = if n == 0 { Tone::Bad.paint(colour, line) } else { line.clone() };
            self.console.note(&line);
        }
    }

    fn mailbox_done(&self, account: &str, mailbox: &MailboxName, counts: &Counts) {
        let told = words::counts(counts);
        let wanted = self.console.terminal.watched || self.verbose();
        if wanted && !told.is_empty() && self.output.run == Run::Real {
            self.console.data(&format!("{}: {}: {told}", safe_line(account), words::name(mailbox)));
        }
    }

    fn finished(&self, account: &str, tally: &Tally, summary: &Summary) {
        if self.output.run == Run::Real {
            self.console.data(&format!("{}: {}", safe_line(account), last_line(tally)));
        }
        self.detail(account, || {
            format!(
                "{}, {}; {}, {} sent, {} received, {}",
                words::many(summary.mailboxes, "mailbox", "mailboxes"),
                words::many(summary.messages, "message", "messages"),
                words::many(summary.commands, "command", "commands"),
                words::size(summary.sent),
                words::size(summary.received),
                words::time(summary.milliseconds),
            )
        });
    }
}

/// How things stand after a run that was not aborted.
fn last_line(tally: &Tally) -> String {
    let failed = format!("{} failed", words::count(tally.counts.failed));
    let refused = format!("deletions refused in {}", words::many(tally.refused, "place", "places"));
    let stand = match (tally.outcome(), tally.counts.failed) {
        (Outcome::SomeFailed, _) => format!("{failed}, the rest is in sync"),
        (Outcome::Refused, 0) => format!("{refused}, the rest is in sync"),
        (Outcome::Refused, _) => format!("{refused}, {failed}, the rest is in sync"),
        (Outcome::InSync | Outcome::Planned | Outcome::Aborted, _) => "in sync".to_owned(),
    };
    let done = words::counts(&tally.counts);
    if done.is_empty() { format!("{stand}, nothing changed") } else { format!("{stand}: {done}") }
}

impl<O: Write + Send, E: Write + Send> Report for Human<O, E> {
    fn event(&self, account: &str, event: Event<'_>) {
        let tally = self.tallies.take(account, self.output.run, &event);
        match &event {
            Event::Connected { host, tier } => {
                self.detail(account, || format!("connected to {} ({})", safe_line(host), safe_line(tier)));
                self.console.bars.waiting(account, "looking at both sides");
            }
            Event::Observed { mailboxes, changed } => {
                self.console.bars.end(account);
                let mailboxes = *mailboxes as u64;
                self.detail(account, || {
                    let looked = words::many(mailboxes, "mailbox", "mailboxes");
                    format!("{looked} looked at, {} changed", words::count(*changed as u64))
                });
            }
            Event::Planned { plan, refusals } if self.output.run == Run::Dry => {
                let detail = if self.verbose() { Detail::Full } else { Detail::Short };
                let (again, colour) = (&self.output.again, self.console.terminal.colour_out);
                plan::view(account, plan, refusals, &tally, again, detail, colour)
                    .iter()
                    .for_each(|line| self.console.data(line));
            }
            // In a real run the refusals of the plan come again, one by one.
            Event::Planned { .. } => {}
            Event::Progress(step) => self.console.bars.step(account, *step),
            Event::Done { mailbox, action, done, .. } => self.detail(account, || {
                let of = match action.messages() {
                    0 => String::new(),
                    all if all == *done => String::new(),
                    all => format!(" ({} of {} done)", words::count(*done), words::count(all)),
                };
                format!("{}: {}{of}", words::name(mailbox), plan::action_line(action, Detail::Short))
            }),
            Event::MailboxDone { mailbox, counts } => self.mailbox_done(account, mailbox, counts),
            Event::Failed(_) | Event::Refused(_) => self.trouble(account, &event),
            Event::Notice(text) => {
                self.console.note(&format!("{}: {}", safe_line(account), safe_text(text, 2000)));
            }
            Event::Finished(summary) => {
                self.console.bars.end(account);
                self.finished(account, &tally, summary);
            }
            Event::Aborted(_) => {
                self.console.bars.end(account);
                self.trouble(account, &event);
                let done = words::counts(&tally.counts);
                if self.output.run == Run::Real && !done.is_empty() {
                    self.console.data(&format!("{}: not in sync; done so far: {done}", safe_line(account)));
                }
            }
        }
    }
}
