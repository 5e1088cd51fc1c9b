//! What a POP3 server says it can do (RFC 2449), and what of that may be used.
//!
//! Invariant: [`Capabilities::has`] is false for whatever the configuration disabled. A server without CAPA is taken
//! for one of RFC 1939: optional commands are tried there and may be refused.

use std::collections::BTreeSet;
use std::time::Duration;

/// A capability that changes how the work is done (IANA's registry of POP3 extensions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// RFC 2449 §6.6: commands without waiting for the answers.
    Pipelining,
    /// RFC 1939 §7: unique ids.
    Uidl,
    /// RFC 1939 §7: headers without bodies.
    Top,
    /// RFC 2449 §6.4: codes in refusals.
    RespCodes,
    /// RFC 3206: codes that tell whose fault it is.
    AuthRespCode,
    /// RFC 2449 §6.2: USER and PASS.
    User,
    /// RFC 5034: AUTH.
    Sasl,
    /// RFC 2595: TLS on an open connection.
    Stls,
    /// RFC 2449 §6.5: how long to wait between two logins.
    LoginDelay,
    /// RFC 2449 §6.7: how long messages are kept.
    Expire,
    /// RFC 2449 §6.9: the server's name and version.
    Implementation,
    /// RFC 6856: UTF-8 in headers and logins.
    Utf8,
    /// RFC 6856: languages of the server's words.
    Lang,
}

impl Capability {
    /// Every capability, the ones that save most first.
    pub const ALL: [Capability; 13] = [
        Capability::Pipelining,
        Capability::Uidl,
        Capability::Top,
        Capability::Sasl,
        Capability::User,
        Capability::Stls,
        Capability::RespCodes,
        Capability::AuthRespCode,
        Capability::LoginDelay,
        Capability::Expire,
        Capability::Implementation,
        Capability::Utf8,
        Capability::Lang,
    ];

    /// The name as servers announce it, upper case.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What it buys, one line for `check`.
    pub fn buys(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Capability::Pipelining => ("PIPELINING", "messages without a round trip each"),
            Capability::Uidl => ("UIDL", "recognises messages, nothing of them fetched"),
            Capability::Top => ("TOP", "recognises messages without unique ids by their headers"),
            Capability::RespCodes => ("RESP-CODES", "tells a busy maildrop from a wrong password"),
            Capability::AuthRespCode => ("AUTH-RESP-CODE", "tells a wrong password from a fault of the server"),
            Capability::User => ("USER", "logs in with user name and password"),
            Capability::Sasl => ("SASL", "logs in with one round trip less"),
            Capability::Stls => ("STLS", "protects a connection that starts without TLS"),
            Capability::LoginDelay => ("LOGIN-DELAY", "tells how often a run makes sense"),
            Capability::Expire => ("EXPIRE", "tells when the server deletes by itself"),
            Capability::Implementation => ("IMPLEMENTATION", "the server's name and version"),
            Capability::Utf8 => ("UTF8", "headers in UTF-8; not used"),
            Capability::Lang => ("LANG", "the server's words in other languages; not used"),
        }
    }
}

/// How long the server keeps messages (RFC 2449 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expire {
    /// For ever.
    Never,
    /// So many days; 0 means that what was retrieved may be gone after the session.
    Days(u32),
}

/// Everything that a server announced, and what the configuration took away from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The lines of CAPA; `None` when the server does not know CAPA.
    lines: Option<Vec<String>>,
    disabled: BTreeSet<String>,
}

impl Capabilities {
    /// Takes the lines of a CAPA answer (`None`: CAPA was refused); `disabled` holds upper-case names.
    pub fn new(lines: Option<Vec<String>>, disabled: &BTreeSet<String>) -> Capabilities {
        Capabilities { lines, disabled: disabled.clone() }
    }

    /// Whether the server can and the configuration allows it.
    pub fn has(&self, capability: Capability) -> bool {
        !self.is_disabled(capability) && self.says(capability)
    }

    /// Whether the configuration switched it off.
    pub fn is_disabled(&self, capability: Capability) -> bool {
        self.disabled.contains(capability.name())
    }

    /// Whether the server announced it, disabled or not; without CAPA, nothing was announced.
    pub fn says(&self, capability: Capability) -> bool {
        self.arguments(capability.name()).is_some()
    }

    /// Whether the server told at all what it can do.
    pub fn are_known(&self) -> bool {
        self.lines.is_some()
    }

    /// The lines as announced, also unknown and disabled ones.
    pub fn all_lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }

    /// The SASL mechanisms that are announced and not disabled, upper case.
    pub fn mechanisms(&self) -> impl Iterator<Item = String> {
        let words = self.arguments("SASL").unwrap_or_default().split_ascii_whitespace();
        let names = words.map(str::to_ascii_uppercase);
        names.filter(|name| !self.disabled.contains("SASL") && !self.disabled.contains(&format!("AUTH={name}")))
    }

    /// How long messages are kept; `None` when the server does not say.
    pub fn expire(&self) -> Option<Expire> {
        match self.arguments("EXPIRE")?.split_ascii_whitespace().next()? {
            word if word.eq_ignore_ascii_case("NEVER") => Some(Expire::Never),
            days => days.parse().ok().map(Expire::Days),
        }
    }

    /// How long to wait between two logins; `None` when the server does not say.
    pub fn login_delay(&self) -> Option<Duration> {
        let seconds = self.arguments("LOGIN-DELAY")?.split_ascii_whitespace().next()?;
        seconds.parse().ok().map(|seconds: u32| Duration::from_secs(seconds.into()))
    }

    /// The server's name and version, in its own words.
    pub fn implementation(&self) -> Option<&str> {
        self.arguments("IMPLEMENTATION").filter(|words| !words.is_empty())
    }

    /// Whether asking again after the login may tell more: values that depend on the user (RFC 2449 §6.5, §6.7), and
    /// servers that tell the half of it only to users (jakartaee/mail-api#50).
    pub(super) fn may_change_with_login(&self) -> bool {
        let of_user = |name| self.arguments(name).is_some_and(|a| a.to_ascii_uppercase().ends_with(" USER"));
        let basic = [Capability::Pipelining, Capability::Uidl, Capability::Top];
        of_user("EXPIRE") || of_user("LOGIN-DELAY") || !basic.iter().all(|c| self.says(*c))
    }

    /// What stands behind a name (upper case), empty when that is nothing.
    pub(super) fn arguments(&self, name: &str) -> Option<&str> {
        self.all_lines().find_map(|line| {
            let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            word.eq_ignore_ascii_case(name).then_some(rest.trim())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(lines: &[&str], disabled: &[&str]) -> Capabilities {
        let lines = lines.iter().map(|l| l.to_string()).collect();
        Capabilities::new(Some(lines), &disabled.iter().map(|n| n.to_string()).collect())
    }

    const GMAIL: [&str; 8] = [
        "USER",
        "RESP-CODES",
        "EXPIRE 0",
        "LOGIN-DELAY 300",
        "TOP",
        "UIDL",
        "X-GOOGLE-RICO",
        "SASL PLAIN XOAUTH2 OAUTHBEARER",
    ];

    #[test]
    fn what_is_announced_is_there_in_any_case_with_its_values() {
        let c = capabilities(&GMAIL, &[]);
        assert!(c.are_known() && c.has(Capability::Uidl) && c.has(Capability::Sasl) && !c.has(Capability::Pipelining));
        assert_eq!(c.mechanisms().collect::<Vec<_>>(), ["PLAIN", "XOAUTH2", "OAUTHBEARER"]);
        assert_eq!(c.expire(), Some(Expire::Days(0)));
        assert_eq!(c.login_delay(), Some(Duration::from_secs(300)));
        assert_eq!(c.implementation(), None);
        assert_eq!(c.all_lines().count(), 8);
        let c = capabilities(&["pipelining", "Expire never", "IMPLEMENTATION Cyrus POP3 v3", "LOGIN-DELAY soon"], &[]);
        assert!(c.has(Capability::Pipelining) && c.login_delay().is_none());
        assert_eq!((c.expire(), c.implementation()), (Some(Expire::Never), Some("Cyrus POP3 v3")));
        assert_eq!(capabilities(&["EXPIRE -3"], &[]).expire(), None);
    }

    #[test]
    fn what_is_disabled_is_never_there() {
        let c = capabilities(&GMAIL, &["UIDL", "AUTH=PLAIN"]);
        assert!(!c.has(Capability::Uidl) && c.says(Capability::Uidl) && c.is_disabled(Capability::Uidl));
        assert_eq!(c.mechanisms().collect::<Vec<_>>(), ["XOAUTH2", "OAUTHBEARER"]);
        assert_eq!(capabilities(&GMAIL, &["SASL"]).mechanisms().count(), 0);
    }

    #[test]
    fn a_server_without_capa_announces_nothing() {
        let c = Capabilities::new(None, &BTreeSet::new());
        assert!(!c.are_known() && !Capability::ALL.iter().any(|cap| c.has(*cap)) && c.may_change_with_login());
    }

    #[test]
    fn asking_again_after_the_login_is_for_those_who_may_say_more() {
        assert!(capabilities(&GMAIL, &[]).may_change_with_login());
        assert!(!capabilities(&["TOP", "UIDL", "PIPELINING", "EXPIRE 60"], &[]).may_change_with_login());
        assert!(capabilities(&["TOP", "UIDL", "PIPELINING", "EXPIRE 5 USER"], &[]).may_change_with_login());
    }

    #[test]
    fn each_capability_is_listed_once_under_its_own_name() {
        let names: BTreeSet<&str> = Capability::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Capability::ALL.len());
        assert!(Capability::ALL.iter().all(|c| c.name() == c.name().to_uppercase() && !c.buys().is_empty()));
    }
}
