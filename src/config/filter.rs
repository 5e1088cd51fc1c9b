//! Which mailboxes take part: patterns over names, the last one that matches decides.
//!
//! A pattern knows two signs, `*` (any characters, `/` too) and `?` (one character); brackets and braces mean
//! themselves, because real mailboxes are called `[Gmail]/Spam`. `!` in front takes out. Names are those in the tree, after renames.

use crate::error::{Error, Kind, Result};
use crate::mail::MailboxName;
use crate::reconcile::view::LeftOut;

/// A selection of mailboxes; the default selects all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailboxFilter {
    /// The configuration's list; none selects all.
    configured: Vec<Pattern>,
    /// What the command line narrows it to; all have to select a name.
    narrowed: Vec<Vec<Pattern>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    effect: Effect,
    glob: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    TakeIn,
    TakeOut,
}

impl MailboxFilter {
    /// Whether the mailbox takes part.
    pub fn selects(&self, name: &MailboxName) -> bool {
        self.leaves_out(name).is_none()
    }

    /// For how long a mailbox is left out: always by the configuration's list, or in a run that narrows it.
    pub fn leaves_out(&self, name: &MailboxName) -> Option<LeftOut> {
        // One that a run was cut off with is no new mailbox, whatever it was called before.
        if name.is_aside() {
            return None;
        }
        match selects(&self.configured, name) {
            false => Some(LeftOut::Always),
            true => (!self.narrowed.iter().all(|list| selects(list, name))).then_some(LeftOut::ThisTime),
        }
    }

    /// The selection of a configuration's list.
    ///
    /// # Errors
    /// Kind `Usage` for what is no pattern.
    pub fn configured(globs: &[String]) -> Result<MailboxFilter> {
        Ok(MailboxFilter { configured: parsed(globs)?, narrowed: Vec::new() })
    }

    /// The part of the selection that `globs` select too; no globs narrow nothing.
    ///
    /// # Errors
    /// Kind `Usage` for an empty pattern.
    pub fn narrowed(&self, globs: &[String]) -> Result<MailboxFilter> {
        let mut narrowed = self.clone();
        if !globs.is_empty() {
            narrowed.narrowed.push(parsed(globs)?);
        }
        Ok(narrowed)
    }
}

fn parsed(globs: &[String]) -> Result<Vec<Pattern>> {
    globs.iter().map(|g| Pattern::parse(g)).collect()
}

/// Whether a list selects a name; an empty one selects all.
fn selects(list: &[Pattern], name: &MailboxName) -> bool {
    // A list that begins by taking out means "all but".
    let all_but = list.first().is_none_or(|p| p.effect == Effect::TakeOut);
    let last = list.iter().rev().find(|p| matches(&p.glob, name.path())).map(|p| p.effect);
    last.map_or(all_but, |effect| effect == Effect::TakeIn)
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern> {
        let (effect, glob) = match text.strip_prefix('!') {
            Some(rest) => (Effect::TakeOut, rest),
            None => (Effect::TakeIn, text),
        };
        if glob.is_empty() {
            return Err(Error::new(Kind::Usage, format!("`{text}` is no mailbox pattern"))
                .hint("Write a name such as `INBOX`, a pattern such as `Lists/*`, or `!Spam` to leave one out."));
        }
        // INBOX has one spelling in names, so patterns may spell it as they like.
        let (top, below) = glob.split_at(glob.find('/').unwrap_or(glob.len()));
        let glob = if top.eq_ignore_ascii_case("INBOX") { format!("INBOX{below}") } else { glob.to_owned() };
        Ok(Pattern { effect, glob })
    }
}

/// Matches in time proportional to both lengths: after a mismatch only the latest `*` takes one character more.
fn matches(glob: &str, name: &str) -> bool {
    let (mut glob, mut name) = (glob.chars(), name.chars());
    let mut latest_star = None;
    loop {
        let (glob_before, name_before) = (glob.clone(), name.clone());
        match (glob.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                latest_star = Some((glob_before, name_before.clone()));
                name = name_before;
            }
            (Some('?'), Some(_)) => {}
            (Some(g), Some(n)) if g == n => {}
            _ => {
                let Some((star, mut taken)) = latest_star.take() else { return false };
                if taken.next().is_none() {
                    return false;
                }
                (glob, name) = (star, taken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn selected(globs: &[&str], name: &str) -> bool {
        let globs: Vec<String> = globs.iter().map(|g| (*g).to_owned()).collect();
        MailboxFilter::default().narrowed(&globs).unwrap().selects(&MailboxName::parse(name).unwrap())
    }

    #[test]
    fn the_last_match_decides() {
        for (globs, name, expected) in [
            (&[][..], "any", true),
            (&["*"], "a/b/c", true),
            (&["*", "!Spam"], "Spam", false),
            (&["*", "!Spam"], "Spam/2020", true),
            (&["*", "!Spam*"], "Spam/2020", false),
            (&["*", "!Lists/*", "Lists/rust"], "Lists/rust", true),
            (&["*", "!Lists/*", "Lists/rust"], "Lists/go", false),
            (&["!Spam"], "Spam", false),
            (&["!Spam"], "Work", true),
            (&["INBOX"], "Work", false),
            (&["inbox", "Inbox/x"], "INBOX", true),
            (&["inbox/*"], "INBOX/x", true),
            (&["work"], "Work", false),
            (&["[Gmail]/*"], "[Gmail]/All Mail", true),
            (&["[Gmail]/*"], "G/x", false),
            (&["?"], "é", true),
            (&["*a*b*"], "xxaxxbxx", true),
            (&["*a*b"], "xaxbx", false),
        ] {
            assert_eq!(selected(globs, name), expected, "{globs:?} {name}");
        }
    }

    /// Left out it would look deleted, and its files would be.
    #[test]
    fn one_that_stands_aside_is_never_left_out() {
        let filter = MailboxFilter::configured(&["INBOX".into()]).unwrap().narrowed(&["Lists/*".into()]).unwrap();
        assert!(filter.selects(&MailboxName::aside(|_| false)));
        assert!(!filter.selects(&MailboxName::parse("Other").unwrap()));
    }

    #[test]
    fn narrowing_only_takes_away() {
        let base = MailboxFilter::default().narrowed(&["*".into(), "!Spam".into()]).unwrap();
        let both = base.narrowed(&["S*".into()]).unwrap();
        let picks = |name| both.selects(&MailboxName::parse(name).unwrap());
        assert!(picks("Sent") && !picks("Spam") && !picks("INBOX"));
        let configured = MailboxFilter::configured(&["!Spam".into()]).unwrap().narrowed(&["S*".into()]).unwrap();
        let out = |name| configured.leaves_out(&MailboxName::parse(name).unwrap());
        assert_eq!([out("Sent"), out("Spam"), out("INBOX")], [None, Some(LeftOut::Always), Some(LeftOut::ThisTime)]);
        assert_eq!(base.narrowed(&["!".into()]).unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(40), &"a".repeat(2_000).replace("aaaaa", "aaaab").replace('a', "c")));
        assert!(!matches(&format!("{}x", "*a".repeat(40)), &"a".repeat(2_000)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(glob in "[ab*?]{0,6}", name in "[ab]{0,6}") {
            fn defined(glob: &[char], name: &[char]) -> bool {
                match (glob, name) {
                    ([], []) => true,
                    (['*', rest @ ..], _) => (0..=name.len()).any(|n| defined(rest, &name[n..])),
                    (['?', rest @ ..], [_, after @ ..]) => defined(rest, after),
                    ([g, rest @ ..], [n, after @ ..]) => g == n && defined(rest, after),
                    _ => false,
                }
            }
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&glob, &name), defined(&chars(&glob), &chars(&name)));
        }
    }
}
