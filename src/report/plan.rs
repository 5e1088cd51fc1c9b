//! The plan as a person reads it: mailbox by mailbox, one line for what is treated alike.
//!
//! | arrow | | sign | |
//! | --- | --- | --- | --- |
//! | `→` | changes the server | `+` | arrives |
//! | `←` | changes the tree | `~` | gets other flags |
//! | `=` | only recorded | `-` | goes |
//! | | | `>` | comes from another mailbox, without its body |

use std::collections::BTreeMap;

use super::console::Tone;
use super::count::{Tally, refuses};
use super::words::{self, Detail};
use super::{Again, Run};
use crate::error::safe_line;
use crate::mail::{FileId, FlagChange, MailboxName, UidSet};
use crate::reconcile::guard::Refusal;
use crate::reconcile::view::LeftOut;
use crate::reconcile::{Action, Disposal, Plan, Side};

/// What is treated alike, in the order of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Treatment<'a> {
    RenameMailbox(Option<Side>, &'a MailboxName),
    Create(Side),
    Reset,
    Same,
    Renamed,
    Agreed,
    Move(Side, &'a MailboxName, [&'a FlagChange; 2]),
    Copy(Side, &'a MailboxName, [&'a FlagChange; 2]),
    Arrive(Side),
    Flags(Side, &'a FlagChange),
    Go(Side, Disposal),
    MovedOut(&'a MailboxName, LeftOut),
    Stay(Side),
    Forgotten,
    Remove(Side),
    ForgetMailbox,
}

/// The messages that get one treatment.
#[derive(Default)]
struct Group<'a> {
    uids: UidSet,
    files: Vec<&'a FileId>,
    octets: u64,
}

/// The view of a dry run: every mailbox with something to do, then what it comes to.
pub fn view(
    account: &str,
    plan: &Plan,
    refusals: &[Refusal],
    tally: &Tally,
    again: &Again,
    detail: Detail,
    colour: bool,
) -> Vec<String> {
    let account_name = safe_line(account);
    let mut lines = Vec::new();
    for (mailbox, actions) in plan.mailboxes.iter().filter(|(_, actions)| !actions.is_empty()) {
        let heading = Tone::Heading.paint(colour, &words::name(mailbox));
        lines.push(format!("{account_name}: {heading}"));
        let (refused, rest): (Vec<&Action>, _) = actions.iter().partition(|a| refuses(refusals, mailbox, a));
        lines.extend(grouped(rest).iter().map(|(treatment, group)| format!("  {}", group.line(*treatment, detail))));
        let refused = grouped(refused);
        lines.extend(refused.iter().map(|(t, group)| format!("  {} (refused)", group.line(*t, detail))));
    }
    for refusal in refusals {
        lines.extend(words::refused(account, refusal, again));
    }
    lines.push(format!("{account_name}: {}", sum(tally)));
    lines
}

fn sum(tally: &Tally) -> String {
    let counts = words::counts(&tally.counts, Run::Dry);
    let mut sum = match (tally.planned, counts.is_empty()) {
        (false, _) if tally.refused == 0 && tally.counts.failed == 0 => return "in sync, nothing to do".to_owned(),
        (false, _) => "a run would do nothing".to_owned(),
        (true, true) => "a run would change no mail, only what is recorded".to_owned(),
        (true, false) => format!("a run would {counts}"),
    };
    if tally.refused > 0 {
        sum += &format!("; deletions refused in {}", words::many(tally.refused, "place", "places"));
    }
    if tally.counts.failed > 0 {
        sum += &format!("; {} failed", words::count(tally.counts.failed));
    }
    sum
}

/// One action as a line, without its mailbox.
pub fn action_line(action: &Action, detail: Detail) -> String {
    let lines = grouped([action]).into_iter().map(|(t, group)| group.line(t, detail));
    lines.collect::<Vec<_>>().join("; ")
}

fn grouped<'a>(actions: impl IntoIterator<Item = &'a Action>) -> BTreeMap<Treatment<'a>, Group<'a>> {
    let mut groups: BTreeMap<Treatment<'_>, Group<'_>> = BTreeMap::new();
    for action in actions {
        let group = groups.entry(Treatment::of(action)).or_default();
        match action {
            Action::Upload { file, octets, .. } => {
                group.files.push(file);
                group.octets += octets;
            }
            Action::Link { uid, .. } | Action::Rename { uid, .. } => group.uids.insert(*uid),
            Action::Move(relocation) | Action::Copy(relocation) => {
                group.uids.insert(relocation.uid);
                group.octets += relocation.octets;
            }
            Action::Download { uids, octets } => {
                group.put(uids);
                group.octets += octets;
            }
            Action::Agree { uids, .. }
            | Action::SetFlags { uids, .. }
            | Action::Delete { uids, .. }
            | Action::MovedOut { uids, .. }
            | Action::Keep { uids, .. }
            | Action::Forget { uids } => group.put(uids),
            Action::RenameMailbox { .. }
            | Action::CreateMailbox { .. }
            | Action::ResetMailbox
            | Action::RemoveMailbox { .. }
            | Action::ForgetMailbox => {}
        }
    }
    groups
}

impl<'a> Treatment<'a> {
    fn of(action: &'a Action) -> Self {
        match action {
            Action::RenameMailbox { side, from } => Treatment::RenameMailbox(*side, from),
            Action::Move(r) => Treatment::Move(r.side(), &r.from, [&r.local, &r.remote]),
            Action::Copy(r) => Treatment::Copy(r.side(), &r.from, [&r.local, &r.remote]),
            Action::CreateMailbox { side } => Treatment::Create(*side),
            Action::ResetMailbox => Treatment::Reset,
            Action::Link { .. } => Treatment::Same,
            Action::Rename { .. } => Treatment::Renamed,
            Action::Agree { .. } => Treatment::Agreed,
            Action::Download { .. } => Treatment::Arrive(Side::Local),
            Action::Upload { .. } => Treatment::Arrive(Side::Remote),
            Action::SetFlags { side, change, .. } => Treatment::Flags(*side, change),
            Action::Delete { side, disposal, .. } => Treatment::Go(*side, *disposal),
            Action::MovedOut { to, left_out, .. } => Treatment::MovedOut(to, *left_out),
            Action::Keep { side, .. } => Treatment::Stay(*side),
            Action::Forget { .. } => Treatment::Forgotten,
            Action::RemoveMailbox { side } => Treatment::Remove(*side),
            Action::ForgetMailbox => Treatment::ForgetMailbox,
        }
    }
}

impl Group<'_> {
    fn put(&mut self, uids: &UidSet) {
        self.uids.insert_all(uids);
    }

    fn line(&self, treatment: Treatment<'_>, detail: Detail) -> String {
        let arrow = |side: Side| match side {
            Side::Local => "←",
            Side::Remote => "→",
        };
        let many = || words::many(self.uids.len() + self.files.len() as u64, "message", "messages");
        let head = match treatment {
            Treatment::RenameMailbox(side, from) => {
                return format!("{} renamed from {}", side.map_or("=", arrow), words::name(from));
            }
            Treatment::Move(side, from, changes) | Treatment::Copy(side, from, changes) => {
                let how = if matches!(treatment, Treatment::Move(..)) { "moved" } else { "copied" };
                let (size, from) = (words::size(self.octets), words::name(from));
                let [local, remote] = changes;
                let (local, remote) = (mark("here", local), mark("on the server", remote));
                format!("{} > {} {how} from {from} ({size} not transferred){local}{remote}", arrow(side), many())
            }
            Treatment::Create(side) => return format!("{} + mailbox", arrow(side)),
            Treatment::Remove(side) => return format!("{} - mailbox", arrow(side)),
            Treatment::Reset => return "= the server numbers its messages anew, or has another mailbox by this name: they are matched again".to_owned(),
            Treatment::ForgetMailbox => return "= mailbox gone from both sides".to_owned(),
            Treatment::Arrive(side) => format!("{} + {} ({})", arrow(side), many(), words::size(self.octets)),
            Treatment::Flags(side, change) => format!("{} ~ {} {change}", arrow(side), many()),
            Treatment::Go(side, Disposal::Expunge) => format!("{} - {}", arrow(side), many()),
            Treatment::Go(side, Disposal::Trash) => format!("{} - {} to Trash", arrow(side), many()),
            Treatment::Go(side, Disposal::Mark) => format!("{} - {} marked \\Deleted", arrow(side), many()),
            Treatment::Same => format!("= {} found the same on both sides", many()),
            Treatment::Renamed => format!("= {} in a file of another name", many()),
            Treatment::Agreed => format!("= {} with the same new flags on both sides", many()),
            Treatment::MovedOut(to, left_out) => {
                let why = match left_out {
                    LeftOut::Always => "which takes no part; kept on the server",
                    LeftOut::ThisTime => "which this run leaves out; a run with it moves it on the server",
                };
                format!("= {} moved to {}, {why}", many(), words::name(to))
            }
            Treatment::Stay(Side::Local) => format!("= {} kept in the tree only", many()),
            Treatment::Stay(Side::Remote) => format!("= {} kept on the server only", many()),
            Treatment::Forgotten => format!("= {} gone from both sides", many()),
        };
        format!("{head}: {}", self.which(detail))
    }

    fn which(&self, detail: Detail) -> String {
        if self.files.is_empty() {
            return words::uids(&self.uids, detail);
        }
        let shown = match detail {
            // A file's name is long.
            Detail::Short => self.files.len().min(2),
            Detail::Full => self.files.len(),
        };
        let names: Vec<String> = self.files.iter().take(shown).map(|f| safe_line(&f.to_string())).collect();
        let more = (self.files.len() - shown) as u64;
        let more = if more > 0 { format!(" and {} more", words::count(more)) } else { String::new() };
        format!("{}{more}", names.join(", "))
    }
}

/// A change of flags that comes along with a move, and where it is made.
fn mark(place: &str, change: &FlagChange) -> String {
    if change.is_empty() { String::new() } else { format!(", {place} {change}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{self, Hostile};
    use crate::report::{Output, Run, Verbosity, human::Human};

    fn dry(verbosity: Verbosity) -> String {
        let output = Output { verbosity, run: Run::Dry, ..Output::default() };
        samples::rendered(|console| Human::new(console, output), Run::Dry, "work", &Hostile::no()).0
    }

    #[test]
    fn a_plan_is_shown_mailbox_by_mailbox() {
        samples::assert_same(
            dry(Verbosity::Normal),
            snapbox::str![[r#"
work: INBOX
  = 1 message found the same on both sides: UID 20
  = 1 message in a file of another name: UID 20
  = 1 message with the same new flags on both sides: UID 21
  → > 1 message moved from Old (4.0 kB not transferred), on the server +\Flagged: UID 22
  ← > 1 message copied from Old (5.0 kB not transferred): UID 23
  ← + 3 messages (12.3 kB): UID 11:13
  → + 3 messages (6.0 kB): 1700000001.a, 1700000002.b and 1 more
  → ~ 7 messages +\Seen +Work -\Flagged: UID 1, 3, 5, 7, 9 and 2 more
  ← - 1 message marked \Deleted: UID 2
  = 1 message moved to Spam, which takes no part; kept on the server: UID 52
  = 1 message kept on the server only: UID 50
  = 1 message gone from both sides: UID 51
  → - 20 messages: UID 30:49 (refused)
work: Neu-Über
  → + mailbox
work: New
  ← renamed from Former
work: Old
  = the server numbers its messages anew, or has another mailbox by this name: they are matched again
  → - 1 message to Trash: UID 1
  ← - mailbox
  = mailbox gone from both sides
work: Refused: INBOX: 20 of 30 messages would be deleted on the server
  hint: If that is what you want: mailtide sync work --allow-deletions INBOX
work: a run would rename 1 mailbox, bring 3 (12.3 kB), move or copy 1, delete 1, remove 1 mailbox here; make 1 mailbox, send 3 (6.0 kB), move or copy 1, change flags of 7, delete 1 on the server; record 1 as the same on both sides; deletions refused in 1 place

"#]],
        );
    }

    #[test]
    fn asked_for_detail_the_plan_names_every_file_and_uid() {
        let text = dry(Verbosity::Verbose);
        assert!(text.contains("1700000001.a, 1700000002.b, 1700000003.c\n"), "{text}");
        assert!(text.contains("UID 1, 3, 5, 7, 9, 11, 13\n"), "{text}");
    }

    #[test]
    fn an_empty_plan_is_one_line() {
        let lines = view("work", &Plan::default(), &[], &Tally::default(), &Again::default(), Detail::Short, false);
        assert_eq!(lines, ["work: in sync, nothing to do"]);
        let tally = Tally { refused: 2, ..Tally::default() };
        let lines = view("work", &Plan::default(), &[], &tally, &Again::default(), Detail::Short, false);
        assert_eq!(lines, ["work: a run would do nothing; deletions refused in 2 places"]);
    }
}
