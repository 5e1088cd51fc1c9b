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
        if matches!(event, Event::Planned { .. }) && self.output.run == super::Run::Real {
            return;
        }
        words::trouble(account, &event, &self.output.again).iter().for_each(|line| self.console.note(line));
    }
}
