//! The plan as a person reads it: mailbox by mailbox, one line for what is treated alike.
//!
//! | arrow | | sign | |
//! | --- | --- | --- | --- |
//! | `→` | changes the server | `+` | arrives |
//! | `←` | changes the tree | `~` | gets other flags |
//! | `=` | only recorded | `-` | goes |

use std::collections::BTreeMap;

use super::Again;
use super::console::Tone;
use super::count::Tally;
use super::words::{self, Detail};
use crate::error::safe_line;
use crate::mail::{FileId, FlagChange, UidSet};
use crate::reconcile::guard::Refusal;
use crate::reconcile::{Action, Disposal, Plan, Side};

/// What is treated alike, in the order of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Treatment<'a> {
    Create(Side),
    Reset,
    Same,
    Renamed,
    Agreed,
    Arrive(Side),
    Flags(Side, &'a FlagChange),
    Go(Side, Disposal),
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
        let refused = |side: Side| {
            refusals.iter().any(|r| r.side == side && r.mailbox.as_ref().is_none_or(|name| name == mailbox))
        };
        for (treatment, group) in grouped(actions) {
            let mark = match treatment {
                Treatment::Go(side, _) | Treatment::Remove(side) if refused(side) => " (refused)",
                _ => "",
            };
            lines.push(format!("  {}{mark}", group.line(treatment, detail)));
        }
    }
    for refusal in refusals {
        lines.extend(words::refused(account, refusal, again));
    }
    let counts = words::counts(&tally.counts);
    lines.push(match (plan.is_empty(), counts.is_empty()) {
        (true, _) => format!("{account_name}: in sync, nothing to do"),
        (false, true) => format!("{account_name}: dry run: no mail would change, only what is recorded"),
        (false, false) => format!("{account_name}: dry run, nothing was done; a run would bring: {counts}"),
    });
    lines
}

/// One action as a line, without its mailbox.
pub fn action_line(action: &Action, detail: Detail) -> String {
    let lines = grouped(std::slice::from_ref(action)).into_iter().map(|(t, group)| group.line(t, detail));
    lines.collect::<Vec<_>>().join("; ")
}

fn grouped(actions: &[Action]) -> BTreeMap<Treatment<'_>, Group<'_>> {
    let mut groups: BTreeMap<Treatment<'_>, Group<'_>> = BTreeMap::new();
    for action in actions {
        let group = groups.entry(Treatment::of(action)).or_default();
        match action {
            Action::Upload { file, octets, .. } => {
                group.files.push(file);
                group.octets += octets;
            }
            Action::Link { uid, .. } | Action::Rename { uid, .. } => group.uids.insert(*uid),
            Action::Download { uids, octets } => {
                group.put(uids);
                group.octets += octets;
            }
            Action::Agree { uids, .. }
            | Action::SetFlags { uids, .. }
            | Action::Delete { uids, .. }
            | Action::Keep { uids, .. }
            | Action::Forget { uids } => group.put(uids),
            Action::CreateMailbox { .. }
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
            Action::CreateMailbox { side } => Treatment::Create(*side),
            Action::ResetMailbox => Treatment::Reset,
            Action::Link { .. } => Treatment::Same,
            Action::Rename { .. } => Treatment::Renamed,
            Action::Agree { .. } => Treatment::Agreed,
            Action::Download { .. } => Treatment::Arrive(Side::Local),
            Action::Upload { .. } => Treatment::Arrive(Side::Remote),
            Action::SetFlags { side, change, .. } => Treatment::Flags(*side, change),
            Action::Delete { side, disposal, .. } => Treatment::Go(*side, *disposal),
            Action::Keep { side, .. } => Treatment::Stay(*side),
            Action::Forget { .. } => Treatment::Forgotten,
            Action::RemoveMailbox { side } => Treatment::Remove(*side),
            Action::ForgetMailbox => Treatment::ForgetMailbox,
        }
    }
}

impl Group<'_> {
    fn put(&mut self, uids: &UidSet) {
        uids.ranges().iter().for_each(|&(first, last)| self.uids.insert_range(first, last));
    }

    fn line(&self, treatment: Treatment<'_>, detail: Detail) -> String {
        let arrow = |side: Side| match side {
            Side::Local => "←",
            Side::Remote => "→",
        };
        let many = || words::many(self.uids.len() + self.files.len() as u64, "message", "messages");
        let head = match treatment {
            Treatment::Create(side) => return format!("{} + mailbox", arrow(side)),
            Treatment::Remove(side) => return format!("{} - mailbox", arrow(side)),
            Treatment::Reset => return "= the server numbers its messages anew; they are matched again".to_owned(),
            Treatment::ForgetMailbox => return "= mailbox gone from both sides".to_owned(),
            Treatment::Arrive(side) => format!("{} + {} ({})", arrow(side), many(), words::size(self.octets)),
            Treatment::Flags(side, change) => format!("{} ~ {} {change}", arrow(side), many()),
            Treatment::Go(side, Disposal::Expunge) => format!("{} - {}", arrow(side), many()),
            Treatment::Go(side, Disposal::Trash) => format!("{} - {} to Trash", arrow(side), many()),
            Treatment::Go(side, Disposal::Mark) => format!("{} - {} marked \\Deleted", arrow(side), many()),
            Treatment::Same => format!("= {} found the same on both sides", many()),
            Treatment::Renamed => format!("= {} in a file of another name", many()),
            Treatment::Agreed => format!("= {} with the same new flags on both sides", many()),
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
