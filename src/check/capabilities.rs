//! What the server can, what that buys and what its lack costs, a line each; only what a run has a use for.

use std::collections::BTreeSet;

use super::Finding;
use crate::remote::imap::{Capabilities, Capability};

/// Tells of every capability that is used or missed.
pub(super) fn check(can: &Capabilities, disabled: &BTreeSet<String>, put: &mut dyn FnMut(Finding)) {
    let offered: BTreeSet<&str> = can.all_names().collect();
    for capability in Capability::ALL {
        let Some(buys) = capability.buys() else { continue };
        let name = capability.name();
        let lack = lack(capability, can).map(|cost| format!(": {cost}")).unwrap_or_default();
        if can.has(capability) {
            put(Finding::ok(name, format!("Offered: {buys}")));
        } else if disabled.contains(name) && offered.contains(name) {
            put(Finding::note(name, format!("Offered, but switched off by `disable`{lack}")));
        } else if !lack.is_empty() {
            put(Finding::note(name, format!("Not offered{lack}")));
        }
    }
}

/// What it costs that the server cannot; `None` where nothing is missed.
fn lack(capability: Capability, can: &Capabilities) -> Option<&'static str> {
    match capability {
        Capability::Qresync if can.has(Capability::CondStore) => {
            Some("what was deleted is found by a search of each changed mailbox")
        }
        Capability::Qresync => None,
        Capability::CondStore => Some("the flags of all messages are read again at each run"),
        Capability::ListStatus => Some("each mailbox is asked for its state, all in one go"),
        Capability::Uidplus => Some(
            "a deletion waits while another client has marked mail in the mailbox, and uploads are looked up again",
        ),
        Capability::LiteralPlus if can.has(Capability::LiteralMinus) => {
            Some("an upload of more than 4 kB takes a round trip of its own")
        }
        Capability::LiteralPlus => Some("each upload takes a round trip of its own"),
        Capability::Move => Some("a move to the trash is a copy and a deletion"),
        Capability::Esearch => Some("search results are lists of single numbers"),
        Capability::SpecialUse => Some("`deletions = \"trash\"` needs the name of the mailbox in `trash`"),
        Capability::Namespace => Some("mailboxes are expected at the top"),
        Capability::LiteralMinus
        | Capability::ListExtended
        | Capability::Compress
        | Capability::Enable
        | Capability::MultiAppend
        | Capability::StatusSize
        | Capability::ObjectId
        | Capability::GmailExt
        | Capability::Id
        | Capability::Idle
        | Capability::Unselect
        | Capability::Utf8Accept
        | Capability::AppendLimit
        | Capability::SaslIr => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Grade;

    #[test]
    fn what_is_missed_is_told_with_its_cost() {
        let disabled = BTreeSet::from(["MOVE".to_owned()]);
        let can = Capabilities::new("IMAP4rev1 CONDSTORE MOVE LITERAL- IDLE", &disabled);
        let mut all = Vec::new();
        check(&can, &disabled, &mut |f| all.push(f));
        let of = |name| all.iter().find(|f| f.subject == name);
        assert!(of("CONDSTORE").unwrap().what.starts_with("Offered: changed flags"));
        assert_eq!(
            of("QRESYNC").unwrap().what,
            "Not offered: what was deleted is found by a search of each changed mailbox"
        );
        assert!(of("MOVE").unwrap().what.starts_with("Offered, but switched off by `disable`: a move"));
        assert!(of("LITERAL+").unwrap().what.contains("4 kB"));
        assert_eq!(of("IDLE"), None);
        assert!(all.iter().all(|f| !matches!(f.grade, Grade::Fail(_))));
    }
}
