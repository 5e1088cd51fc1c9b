//! What a session with a maildrop would do, as a person reads it: one line for what is treated alike, with the arrows and
//! signs of [`super::plan`].

use super::console::Tone;
use super::count::Tally;
use super::words::{self, Detail};
use super::{Again, Run};
use crate::error::safe_line;
use crate::mail::MailboxName;
use crate::maildrop::{Action, Left, Numbers, Plan};
use crate::reconcile::guard::Refusal;

/// The view of a dry run: the mailbox that the mail goes into, what would be done, and what it comes to.
#[expect(clippy::too_many_arguments, reason = "as many as the view of a plan over mailboxes has")]
pub fn view(
    account: &str,
    mailbox: &MailboxName,
    plan: &Plan,
    refusals: &[Refusal],
    tally: &Tally,
    again: &Again,
    detail: Detail,
    colour: bool,
) -> Vec<String> {
    let account_name = safe_line(account);
    let actions = plan.actions();
    let mut lines = Vec::new();
    if !actions.is_empty() {
        lines.push(format!("{account_name}: {}", Tone::Heading.paint(colour, &words::name(mailbox))));
        lines.extend(actions.iter().map(|action| format!("  {}", action_line(action, detail))));
    }
    for refusal in refusals {
        lines.extend(words::refused(account, refusal, again));
    }
    lines.push(format!("{account_name}: {}", sum(&actions, tally)));
    lines
}

fn sum(actions: &[Action], tally: &Tally) -> String {
    let counts = words::counts(&tally.counts, Run::Dry);
    let mut sum = match (actions.is_empty(), counts.is_empty()) {
        (true, _) if tally.refused == 0 => return "in sync, nothing to do".to_owned(),
        (true, _) => "a run would do nothing".to_owned(),
        (false, true) => "a run would bring no mail".to_owned(),
        (false, false) => format!("a run would {counts}"),
    };
    if tally.refused > 0 {
        sum += &format!("; deletions refused in {}", words::many(tally.refused, "place", "places"));
    }
    sum
}

/// One action as a line, without its mailbox.
pub fn action_line(action: &Action, detail: Detail) -> String {
    let numbers = action.numbers();
    let many = words::many(numbers.len(), "message", "messages");
    let size = words::size(action.octets());
    let head = match action {
        Action::Recognise { .. } => format!("= {many} known by the header"),
        Action::Download { .. } => format!("← + {many} ({size})"),
        Action::Compare { .. } => format!("← = {many} ({size}) to be compared with known mail"),
        Action::Leave { why: Left::TooLarge, .. } => {
            format!("= {many} ({size}) left on the server: larger than `max-size`")
        }
        Action::Leave { why: Left::Later, .. } => {
            format!("= {many} ({size}) left for later runs: beyond `max-messages`")
        }
        Action::Delete { .. } => format!("→ - {many}"),
    };
    format!("{head}: {}", which(numbers, detail))
}

fn which(numbers: &Numbers, detail: Detail) -> String {
    let ranges = numbers.ranges();
    let shown = detail.shown(ranges.len());
    let text = |&(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}:{last}") }
    };
    let some: Vec<String> = ranges.iter().take(shown).map(text).collect();
    let rest = ranges.iter().skip(shown).map(|(first, last)| u64::from(last - first) + 1).sum::<u64>();
    let more = if rest > 0 { format!(" and {} more", words::count(rest)) } else { String::new() };
    format!("number {}{more}", some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{MessageNumber, Serial, UnixSeconds};
    use crate::maildrop::{Fetch, Fetched};

    fn numbers(all: impl IntoIterator<Item = u32>) -> Numbers {
        all.into_iter().filter_map(MessageNumber::new).collect()
    }

    #[test]
    fn a_session_is_shown_line_by_line() {
        let fetch = |n: u32, what, due| Fetch {
            number: MessageNumber::new(n).unwrap(),
            serial: Serial(1),
            uidl: None,
            size: 1000,
            first_seen: UnixSeconds(0),
            what,
            due,
        };
        let left = |why| (why, 2_000_000);
        let plan = Plan {
            fetch: vec![fetch(3, Fetched::New, true), fetch(4, Fetched::Doubtful { rival: None }, false)],
            recognised: numbers([7]),
            left: numbers([9]).iter().map(|n| (n, left(Left::TooLarge))).collect(),
            delete: numbers([1, 2, 20, 22, 24, 26, 28]).iter().map(|n| (n, Serial(1))).collect(),
            ..Plan::default()
        };
        let (side, rest) = (crate::reconcile::Side::Remote, crate::reconcile::guard::Rest::Done);
        let refusal = Refusal { side, mailbox: None, deletions: 30, of: 40, rest, spared: Default::default() };
        let mut tally = Tally { refused: 1, ..Tally::default() };
        plan.actions().iter().for_each(|a| tally.counts.record_maildrop(a, a.numbers().len(), a.octets()));
        let inbox = MailboxName::inbox();
        let lines =
            view("home", &inbox, &plan, &[refusal], &tally, &Again::default(), Detail::Short, false).join("\n") + "\n";
        snapbox::assert_data_eq!(
            lines,
            snapbox::str![[r#"
home: INBOX
  = 1 message known by the header: number 7
  ← + 1 message (1.0 kB): number 3
  ← = 1 message (1.0 kB) to be compared with known mail: number 4
  = 1 message (2.0 MB) left on the server: larger than `max-size`: number 9
  → - 8 messages: number 1:3, 20, 22, 24, 26, 28
home: Refused: 30 of 40 messages of the account would be deleted on the server
  hint: If that is what you want: mailtide sync home --allow-deletions all
home: a run would bring 1 (1.0 kB) here; delete 8 on the server; record 1 as the same on both sides; deletions refused in 1 place

"#]]
        );
        let nothing = (Plan::default(), Tally::default());
        let lines = view("home", &inbox, &nothing.0, &[], &nothing.1, &Again::default(), Detail::Short, false);
        assert_eq!(lines, ["home: in sync, nothing to do"]);
    }
}
