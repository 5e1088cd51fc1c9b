//! Silence, unless something needs a person: failures, refusals, a run that could not end well.

use std::io::Write;

use super::console::Console;
use super::event::{Event, Report};
use super::{Output, words};

/// Renders trouble only, to standard error: what a cron job should mail.
pub struct Quiet<O, E> {
    console: Console<O, E>,
    output: Output,
}

impl<O: Write + Send, E: Write + Send> Quiet<O, E> {
    pub(super) fn new(console: Console<O, E>, output: Output) -> Self {
        Quiet { console, output }
    }
}

impl<O: Write + Send, E: Write + Send> Report for Quiet<O, E> {
    fn event(&self, account: &str, event: Event<'_>) {
        // In a real run the refusals of the plan come again, one by one.
        if matches!(event, Event::Planned { .. } | Event::MaildropPlanned { .. }) && self.output.run == super::Run::Real
        {
            return;
        }
        words::trouble(account, &event, &self.output.again).iter().for_each(|line| self.console.note(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::event::Summary;
    use crate::report::samples::{self, Hostile};
    use crate::report::{Run, Verbosity};

    fn output(run: Run) -> Output {
        Output { verbosity: Verbosity::Quiet, run, ..Output::default() }
    }

    #[test]
    fn only_trouble_is_told() {
        let (out, err) =
            samples::rendered(|console| Quiet::new(console, output(Run::Real)), Run::Real, "work", &Hostile::no());
        assert_eq!(out, "");
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
home: imap: The server did not give the message; the server said `NO gone`
  hint: Look at it with another client.

"#]],
        );
    }

    #[test]
    fn a_run_without_trouble_says_nothing() {
        let (out, err) = samples::drawn(
            |console| Quiet::new(console, output(Run::Real)),
            |report| {
                report.event("work", Event::Notice("x"));
                report.event("work", Event::Finished(Summary::default()));
            },
        );
        assert_eq!(out + &err, "");
    }
}
