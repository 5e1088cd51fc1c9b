//! `Sync`, `Expunge`, `Create`, `Remove`: what goes which way, as seen from the server.

use super::super::draft::{Draft, Key, Weight};
use super::parse::{Line, Section};

/// What of a channel decides direction and deletions; of two channels of one account the stricter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) direction: &'static str,
    pub(super) deletions: &'static str,
}

/// The side of a channel that the server is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Far,
    Near,
}

/// What kinds of changes go a way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Way {
    new: bool,
    delete: bool,
    flags: bool,
}

impl Way {
    fn any(self) -> bool {
        self.new || self.delete || self.flags
    }

    fn all(self) -> bool {
        self.new && self.delete && self.flags
    }
}

/// Reads a channel's settings, or the global ones where it has none.
pub(super) fn read(draft: &mut Draft, channel: &Section, global: &Section, server: Server) -> Policy {
    let find = |keys: &[&str]| channel.last(keys).or_else(|| global.last(keys));
    let sync = find(&["sync"]);
    let (pull, push) = ways(sync, server);
    let direction = match (pull.any(), push.any()) {
        (true, true) => "both",
        (true, false) => "pull",
        (false, true) => "push",
        (false, false) => {
            let text = "`Sync None` moves nothing; here nothing is changed on the server, but mail comes down.";
            draft.note(Key::Direction, Weight::Differs, text);
            "pull"
        }
    };
    if let Some(sync) = sync {
        for (way, name) in [(pull, "from the server"), (push, "to the server")] {
            let part = Way { delete: true, ..way };
            if way.any() && !part.all() {
                let text = format!("{}: new mail and flags both go {name} here.", sync.setting.shown());
                draft.note(Key::Direction, Weight::Differs, text);
            }
        }
    }
    let expunge = find(&["expunge"]);
    let (there, here) = sides(expunge, server);
    // Where a deletion goes, and whether it is carried out there.
    let carried: Vec<bool> =
        [(push, there), (pull, here)].iter().filter(|(way, _)| way.delete).map(|(_, x)| *x).collect();
    let one_sided = direction == "both" && carried.len() == 1;
    let deletions = match carried.as_slice() {
        [] => "never",
        _ if one_sided => {
            let text = "mbsync repeated deletions one way only; Mailtide does it both ways or not at all, so not.";
            draft.note(Key::Deletions, Weight::Differs, text);
            "never"
        }
        all if all.iter().all(|carried| *carried) => "expunge",
        all if all.iter().any(|carried| *carried) => {
            let shown = expunge.map(|line| line.setting.shown()).unwrap_or_default();
            let text = format!("{shown} is for one side; Mailtide has one word for both: \"expunge\" or \"mark\".");
            draft.note(Key::Deletions, Weight::Differs, text);
            "mark"
        }
        _ => "mark",
    };
    if deletions == "mark" && expunge.is_none() {
        draft.note(
            Key::Deletions,
            Weight::Explains,
            "Without `Expunge`, mbsync marks as deleted what the other side has deleted, and so does \"mark\". \
             \"expunge\" deletes it.",
        );
    }
    let policy = Policy { direction, deletions };
    boxes(draft, &find, server, policy);
    policy
}

impl Policy {
    /// What both allow.
    pub(super) fn strictest(self, other: Policy) -> Policy {
        let direction = match (self.direction, other.direction) {
            (a, b) if a == b => a,
            ("both", one) | (one, "both") => one,
            // One only pulls, one only pushes.
            _ => "pull",
        };
        let rank = |word: &str| ["never", "mark", "trash", "expunge"].iter().position(|w| *w == word);
        let deletions = if rank(self.deletions) <= rank(other.deletions) { self.deletions } else { other.deletions };
        Policy { direction, deletions }
    }
}

/// Which changes go from the server and to it.
fn ways(sync: Option<&Line>, server: Server) -> (Way, Way) {
    let all = Way { new: true, delete: true, flags: true };
    let Some(sync) = sync else { return (all, all) };
    if sync.says("all") || sync.says("full") || sync.words.is_empty() {
        return (all, all);
    }
    if sync.says("none") || sync.says("noop") {
        return (Way::default(), Way::default());
    }
    const KINDS: [&str; 5] = ["new", "delete", "flags", "renew", "gone"];
    let put = |way: &mut Way, kind: &str| match kind {
        "new" => way.new = true,
        "delete" | "gone" => way.delete = true,
        "flags" => way.flags = true,
        _ => {}
    };
    let (mut pull, mut push) = (Way::default(), Way::default());
    let words: Vec<String> = sync.words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let compound = |word: &str| word.len() > 4 && (word.starts_with("pull") || word.starts_with("push"));
    if words.iter().any(|word| compound(word)) {
        for word in &words {
            match word.split_at_checked(4) {
                Some(("pull", "")) => pull = all,
                Some(("push", "")) => push = all,
                Some(("pull", kind)) => put(&mut pull, kind),
                Some(("push", kind)) => put(&mut push, kind),
                _ => [&mut pull, &mut push].into_iter().for_each(|way| put(way, word)),
            }
        }
    } else {
        let mut kinds = Way::default();
        words.iter().for_each(|word| put(&mut kinds, word));
        if !words.iter().any(|word| KINDS.contains(&word.as_str())) {
            kinds = all;
        }
        let says = |way: &str| words.iter().any(|word| word == way);
        let none = !says("pull") && !says("push");
        pull = if says("pull") || none { kinds } else { Way::default() };
        push = if says("push") || none { kinds } else { Way::default() };
    }
    match server {
        Server::Far => (pull, push),
        Server::Near => (push, pull),
    }
}

/// Whether a setting is for the server's side, and for the tree's.
fn sides(line: Option<&Line>, server: Server) -> (bool, bool) {
    let says = |word: &str| line.is_some_and(|line| line.says(word));
    let far = says("far") || says("master") || says("both");
    let near = says("near") || says("slave") || says("both");
    match server {
        Server::Far => (far, near),
        Server::Near => (near, far),
    }
}

/// Mailboxes made and removed: Mailtide does both wherever messages may go, under its guard.
fn boxes<'a>(draft: &mut Draft, find: &dyn Fn(&[&str]) -> Option<&'a Line>, server: Server, policy: Policy) {
    // A side that nothing is changed on is none that a mailbox is made or removed on.
    let everywhere = |(there, here): (bool, bool)| match policy.direction {
        "pull" => here,
        "push" => there,
        _ => there && here,
    };
    let mut differ = Vec::new();
    if !everywhere(sides(find(&["create"]), server)) {
        differ.push("makes a mailbox where it is missing");
    }
    if policy.deletions == "expunge" && !everywhere(sides(find(&["remove"]), server)) {
        differ.push("removes one that the other side has removed, unless the guard refuses");
    }
    if !differ.is_empty() {
        let set: Vec<_> =
            [&["create"], &["remove"]].iter().filter_map(|keys| Some(find(*keys)?.setting.shown())).collect();
        let set = if set.is_empty() { "No `Create` and no `Remove`".to_owned() } else { set.join(", ") };
        let text = format!("{set}: Mailtide has no such setting; it {}.", differ.join(", and "));
        draft.note(Key::Direction, Weight::Differs, text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::draft::Protocol;
    use super::super::parse::sections;
    use super::*;

    fn policy(channel: &str, server: Server) -> (Policy, Draft) {
        let read_ = sections(&format!("Channel c\n{channel}"));
        let mut draft = Draft::new("a", Protocol::Imap, "");
        let policy = read(&mut draft, &read_[1], &read_[0], server);
        (policy, draft)
    }

    #[test]
    fn sync_and_expunge_become_direction_and_deletions() {
        for (channel, server, direction, deletions) in [
            ("", Server::Far, "both", "mark"),
            ("Expunge Both", Server::Far, "both", "expunge"),
            ("Expunge Far", Server::Far, "both", "mark"),
            ("Sync Pull\nExpunge Near", Server::Far, "pull", "expunge"),
            ("Sync Pull\nExpunge Far", Server::Far, "pull", "mark"),
            ("Sync Pull\nExpunge Slave", Server::Near, "push", "expunge"),
            ("Sync Push\nExpunge Both", Server::Far, "push", "expunge"),
            ("Sync Pull New Flags", Server::Far, "pull", "never"),
            ("Sync New Delete\nExpunge Both", Server::Far, "both", "expunge"),
            ("Sync PullNew PullFlags Push\nExpunge Both", Server::Far, "both", "never"),
            ("Sync None", Server::Far, "pull", "never"),
            ("Sync All\nExpunge Both", Server::Near, "both", "expunge"),
        ] {
            let (found, draft) = policy(channel, server);
            assert_eq!((found.direction, found.deletions), (direction, deletions), "{channel}: {draft:?}");
        }
    }

    #[test]
    fn what_differs_is_told() {
        let told = |channel| format!("{:?}", policy(channel, Server::Far).1.notes());
        assert!(told("Create Both\nRemove Both\nExpunge Both") == "[]");
        assert!(told("Create Near\nSync Pull\nExpunge Near\nRemove Near") == "[]");
        assert!(told("Create Near\nExpunge Both").contains(", and removes one"));
        assert!(
            told("Create Near\nRemove Both")
                .contains("`Create Near` (line 2), `Remove Both` (line 3): Mailtide has no such")
        );
        assert!(told("").contains("No `Create` and no `Remove`") && !told("").contains("and removes"));
        assert!(told("Sync Pull Flags").contains("new mail and flags both go from the server"));
    }

    #[test]
    fn of_two_channels_the_stricter_counts() {
        let of = |direction, deletions| Policy { direction, deletions };
        assert_eq!(of("both", "expunge").strictest(of("pull", "expunge")), of("pull", "expunge"));
        assert_eq!(of("both", "mark").strictest(of("both", "expunge")), of("both", "mark"));
        assert_eq!(of("push", "never").strictest(of("pull", "mark")), of("pull", "never"));
    }
}
