//! Lines for a person: a line a mailbox that changed, and a last line that says how things stand.
//!
//! Standard output gets what was done; standard error gets trouble, notices and bars. When nobody watches and no
//! detail was asked for, only the last line and the trouble are left, so that a log or a mail from cron stays short.

use std::io::Write;

use super::console::{Console, Tone};
use super::count::{Outcome, Tallies, Tally};
use super::event::{Counts, Event, Report, Summary};
use super::words::{self, Detail};
use super::{Output, Run, Verbosity, maildrop, plan};
use crate::error::{safe_line, safe_text};
use crate::mail::MailboxName;
use crate::reconcile::guard::Rest;

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
        let told = words::counts(counts, Run::Real);
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
    let rest = match tally.rest {
        Rest::Done => "the rest is in sync",
        Rest::Waits => "the rest waits",
    };
    let stand = match (tally.outcome(), tally.counts.failed) {
        (Outcome::SomeFailed, _) => format!("{failed}, {rest}"),
        (Outcome::Refused, 0) => format!("{refused}, {rest}"),
        (Outcome::Refused, _) => format!("{refused}, {failed}, {rest}"),
        (Outcome::InSync | Outcome::Planned | Outcome::Aborted, _) => "in sync".to_owned(),
    };
    let done = words::counts(&tally.counts, Run::Real);
    if done.is_empty() { format!("{stand}, nothing changed") } else { format!("{stand}: {done}") }
}

impl<O: Write + Send, E: Write + Send> Report for Human<O, E> {
    fn event(&self, account: &str, event: Event<'_>) {
        let tally = self.tallies.take(account, self.output.run, &event);
        match &event {
            Event::Connected { host, tier } => {
                self.detail(account, || format!("connected to {} ({})", safe_line(host), safe_line(tier)));
                self.console.bars.waiting(account, "working");
            }
            Event::Observed { mailboxes, changed } => {
                self.detail(account, || {
                    let looked = words::many(*mailboxes as u64, "mailbox", "mailboxes");
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
            Event::MaildropPlanned { mailbox, plan, refusals } if self.output.run == Run::Dry => {
                let detail = if self.verbose() { Detail::Full } else { Detail::Short };
                let (again, colour) = (&self.output.again, self.console.terminal.colour_out);
                maildrop::view(account, mailbox, plan, refusals, &tally, again, detail, colour)
                    .iter()
                    .for_each(|line| self.console.data(line));
            }
            // In a real run the refusals of the plan come again, one by one.
            Event::Planned { .. } | Event::MaildropPlanned { .. } => {}
            Event::Progress(step) => self.console.bars.step(account, *step),
            Event::Done { mailbox, action, done, .. } => self.detail(account, || {
                let of = match action.messages() {
                    0 => String::new(),
                    all if all == *done => String::new(),
                    all => format!(" ({} of {} done)", words::count(*done), words::count(all)),
                };
                format!("{}: {}{of}", words::name(mailbox), plan::action_line(action, Detail::Short))
            }),
            Event::MaildropDone { mailbox, action, done, .. } => self.detail(account, || {
                let all = action.numbers().len();
                let of = match all == *done {
                    true => String::new(),
                    false => format!(" ({} of {} done)", words::count(*done), words::count(all)),
                };
                format!("{}: {}{of}", words::name(mailbox), maildrop::action_line(action, Detail::Short))
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
                let done = words::counts(&tally.counts, Run::Real);
                if self.output.run == Run::Real && !done.is_empty() {
                    self.console.data(&format!("{}: not in sync; done so far: {done}", safe_line(account)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use crate::report::console::Terminal;
    use crate::report::event::SideCounts;
    use crate::report::progress::Bars;
    use crate::report::samples::{self, Hostile};

    fn render(run: Run, verbosity: Verbosity) -> (String, String) {
        let output = Output { verbosity, run, ..Output::default() };
        samples::rendered(|console| Human::new(console, output), run, "work", &Hostile::no())
    }

    #[test]
    fn under_cron_a_run_is_one_line_and_its_trouble() {
        let (out, err) = render(Run::Real, Verbosity::Normal);
        samples::assert_same(
            out,
            snapbox::str![[r#"
work: deletions refused in 1 place, 3 failed, the rest is in sync: 2 new (12.3 kB) here; 1 mailbox made, 3 sent (6.0 kB), flags of 7 changed on the server; 1 found the same on both sides

"#]],
        );
        samples::assert_same(
            err,
            snapbox::str![[r#"
work: Refused: INBOX: 20 of 30 messages would be deleted on the server
  hint: If that is what you want: mailtide sync work --allow-deletions INBOX
work: Old: UID 12: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.
work: Old: file x: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.
work: Old: mailbox: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.
work: The server says: be nice
home: imap: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.

"#]],
        );
    }

    #[test]
    fn a_verbose_run_tells_every_action() {
        let (out, err) = render(Run::Real, Verbosity::Verbose);
        samples::assert_same(
            out,
            snapbox::str![[r#"
work: INBOX: 2 new (12.3 kB) here; 1 mailbox made, 3 sent (6.0 kB), flags of 7 changed on the server; 1 found the same on both sides
work: Neu-Über: 2 new (12.3 kB) here; 1 mailbox made, 3 sent (6.0 kB), flags of 7 changed on the server; 1 found the same on both sides
work: New: 2 new (12.3 kB) here; 1 mailbox made, 3 sent (6.0 kB), flags of 7 changed on the server; 1 found the same on both sides
work: Old: 2 new (12.3 kB) here; 1 mailbox made, 3 sent (6.0 kB), flags of 7 changed on the server; 1 found the same on both sides
work: deletions refused in 1 place, 3 failed, the rest is in sync: 2 new (12.3 kB) here; 1 mailbox made, 3 sent (6.0 kB), flags of 7 changed on the server; 1 found the same on both sides

"#]],
        );
        samples::assert_same(
            err,
            snapbox::str![[r#"
work: connected to imap.example.org:993 (QRESYNC)
work: 20 mailboxes looked at, 3 changed
work: Refused: INBOX: 20 of 30 messages would be deleted on the server
  hint: If that is what you want: mailtide sync work --allow-deletions INBOX
work: INBOX: = 1 message found the same on both sides: UID 20
work: INBOX: = 1 message in a file of another name: UID 20
work: INBOX: = 1 message with the same new flags on both sides: UID 21
work: INBOX: → > 1 message moved from Old (4.0 kB not transferred), on the server +\Flagged: UID 22
work: INBOX: ← > 1 message copied from Old (5.0 kB not transferred): UID 23
work: INBOX: ← + 3 messages (12.3 kB): UID 11:13 (2 of 3 done)
work: INBOX: → + 1 message (2.0 kB): 1700000001.a
work: INBOX: → + 1 message (2.0 kB): 1700000002.b
work: INBOX: → + 1 message (2.0 kB): 1700000003.c
work: INBOX: → ~ 7 messages +\Seen +Work -\Flagged: UID 1, 3, 5, 7, 9 and 2 more
work: INBOX: ← - 1 message marked \Deleted: UID 2
work: INBOX: = 1 message kept on the server only: UID 50
work: INBOX: = 1 message moved to Spam, which takes no part; kept on the server: UID 52
work: INBOX: = 1 message gone from both sides: UID 51
work: Neu-Über: → + mailbox
work: New: ← renamed from Former
work: Old: = the server numbers its messages anew, or has another mailbox by this name: they are matched again
work: Old: → - 1 message to Trash: UID 1
work: Old: ← - mailbox
work: Old: = mailbox gone from both sides
work: Old: UID 12: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.
work: Old: file x: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.
work: Old: mailbox: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.
work: The server says: be nice
work: 20 mailboxes, 19,500 messages; 12 commands, 744 B sent, 19.0 kB received, 0.3 s
home: imap: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.

"#]],
        );
    }

    #[test]
    fn who_watches_gets_a_line_a_mailbox_and_trouble_in_red() {
        let terminal = Terminal { watched: true, colour_out: false, colour_err: true };
        let console = Console::new(Vec::new(), Vec::new(), terminal, Bars::hidden());
        let report = Human::new(console, Output::default());
        let counts = Counts { local: SideCounts { flags: 1, ..SideCounts::default() }, ..Counts::default() };
        let inbox = MailboxName::inbox();
        report.event("work", Event::MailboxDone { mailbox: &inbox, counts });
        report.event("work", Event::MailboxDone { mailbox: &inbox, counts: Counts::default() });
        report.event("work", Event::Aborted(&Error::new(Kind::Auth, "No").hint("Yes.")));
        let (out, err) = samples::text(report.console);
        assert_eq!(out, "work: INBOX: flags of 1 changed here\n");
        assert_eq!(err, "\u{1b}[31mwork: No\u{1b}[0m\n  hint: Yes.\n");
    }

    #[test]
    fn nothing_to_do_is_one_short_line() {
        let (out, err) = samples::drawn(
            |console| Human::new(console, Output::default()),
            |report| report.event("work", Event::Finished(Summary::default())),
        );
        assert_eq!((out.as_str(), err.as_str()), ("work: in sync, nothing changed\n", ""));
    }

    #[test]
    fn an_aborted_run_tells_how_far_it_came() {
        let (out, err) = samples::drawn(
            |console| Human::new(console, Output::default()),
            |report| {
                let (mailbox, action) = (MailboxName::inbox(), samples::download());
                report.event("work", Event::Done { mailbox: &mailbox, action: &action, done: 3, octets: 12_345 });
                report.event("work", Event::Aborted(&Error::new(Kind::Interrupted, "Interrupted").at("work")));
            },
        );
        assert_eq!(out, "work: not in sync; done so far: 3 new (12.3 kB) here\n");
        assert_eq!(err, "work: Interrupted\n");
    }
}
