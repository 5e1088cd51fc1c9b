//! What POP3 servers do that the standard does not foresee: names, where it was seen, what it looks like; and the
//! providers whose POP3 is their own.
//!
//! Quirks that live where they are met: dots that are not doubled (`unstuff`), the end of a message that is none
//! (`retrieve`), lists with extra blanks and words (`listing`), capabilities only after the login and tokens that must
//! have a line of their own (`open`, `auth`).

use crate::remote::net::options::TlsMode;

/// **Locked or busy, in words**: servers before RFC 2449 say in words only that the maildrop is locked or the server busy.
///
/// fetchmail's `pop3_ok` takes `lock` and `wait` for that, and `Service … unavailable`: `maildrop lock busy`, `unable to
/// lock`, `already locked` (Berkeley popper, QPOP 2.2, QUALCOMM 2.1.4-R3), `mail storage services unavailable, wait a few
/// minutes and try again` (InterMail). An *account* that is locked is not busy, so the bare word `lock` is not enough
/// here. Outlook.com: `Exceeded the login limit for a 15 minute period. Reduce the frequency of requests` (frappe/frappe#242).
pub fn is_busy(words: &str) -> bool {
    const BUSY: [&str; 16] = [
        "lock busy",
        "unable to lock",
        "cannot lock",
        "can't lock",
        "already locked",
        "maildrop locked",
        "maildrop is locked",
        "mailbox locked",
        "mailbox is locked",
        "is in use",
        "in use by another",
        "another session",
        "wait a few",
        "try again later",
        "login limit",
        "too many connections",
    ];
    let words = words.to_ascii_lowercase();
    BUSY.iter().any(|busy| words.contains(busy)) || words.contains("service") && words.contains("unavailable")
}

/// A provider's POP3 service.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name, for a person.
    pub name: &'static str,
    /// The domains of its addresses; more may be hosted there.
    pub domains: &'static [&'static str],
    /// The server.
    pub host: &'static str,
    /// The port that fits `tls`.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// What is odd about it.
    pub odd: &'static [Oddity],
}

/// Something that a provider does its own way.
#[derive(Debug, PartialEq, Eq)]
pub struct Oddity {
    /// A sentence for a person, without the final stop.
    pub what: &'static str,
    /// Where it is written.
    pub source: &'static str,
}

const fn odd(what: &'static str, source: &'static str) -> Oddity {
    Oddity { what, source }
}

/// All providers that are known here.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "Gmail",
        domains: &["gmail.com", "googlemail.com"],
        host: "pop.gmail.com",
        port: 995,
        tls: TlsMode::Implicit,
        odd: &[
            odd(
                "What was fetched once is listed no more; with `recent:` before the user name the last 30 days are, whoever \
                 fetched them",
                "support.google.com/a/answer/6089246",
            ),
            odd(
                "At most about 250 conversations are listed at a time, the oldest first; the next session lists the next",
                "support.google.com/a/answer/6089246",
            ),
            odd(
                "What becomes of fetched mail (kept, marked read, archived, deleted) is the account's setting \"When \
                 messages are accessed with POP\", whatever the client says",
                "developers.google.com/gmail/api/guides/pop_imap_settings",
            ),
            odd(
                "POP has to be switched on in the settings, and wants an app password",
                "support.google.com/mail/answer/7104828",
            ),
        ],
    },
    Provider {
        name: "Outlook.com",
        domains: &["outlook.com", "hotmail.com", "live.com", "msn.com"],
        host: "outlook.office365.com",
        port: 995,
        tls: TlsMode::Implicit,
        odd: &[
            odd(
                "POP has to be switched on in the settings, which also say whether deleted mail is really deleted",
                "support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040",
            ),
            odd(
                "Tokens (XOAUTH2) have to come on a line of their own; too long a line ends in `Protocol error. Connection is \
                 closed. 10`",
                "getmail6/getmail6#256, marlam/mpop#11",
            ),
            odd("Logins are limited for each 15 minutes", "frappe/frappe#242"),
        ],
    },
    Provider {
        name: "Yahoo",
        domains: &["yahoo.com", "ymail.com", "rocketmail.com"],
        host: "pop.mail.yahoo.com",
        port: 995,
        tls: TlsMode::Implicit,
        odd: &[odd("It wants an app password", "help.yahoo.com/kb/SLN4724.html")],
    },
];

/// The provider of an address, by its domain.
pub fn provider_of_address(address: &str) -> Option<&'static Provider> {
    let (_, domain) = address.rsplit_once('@')?;
    PROVIDERS.iter().find(|p| p.domains.iter().any(|d| d.eq_ignore_ascii_case(domain)))
}

/// The provider whose server `host` is.
pub fn provider_of_host(host: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|p| p.host.eq_ignore_ascii_case(host))
}

/// **Recent mode**: Gmail hides from POP what any client has fetched; a login as `recent:` and the address shows the last
/// 30 days all the same (support.google.com/a/answer/6089246).
pub const GMAIL_RECENT: &str = "recent:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_maildrop_is_told_from_a_blocked_account() {
        for words in [
            "maildrop lock busy!  Is another session active?",
            "Unable to lock maildrop",
            "[X] Maildrop already locked",
            "mail storage services unavailable, wait a few minutes and try again",
            "Exceeded the login limit for a 15 minute period. Reduce the frequency of requests to the POP3 server.",
            "Mailbox locked by POP server.",
        ] {
            assert!(is_busy(words), "{words}");
        }
        for words in
            ["Your account is blocked", "account locked, contact support", "authorization failed", "Invalid login", ""]
        {
            assert!(!is_busy(words), "{words}");
        }
    }

    #[test]
    fn providers_are_found_by_address_and_by_server() {
        let gmail = provider_of_address("recent:me@GMail.com").unwrap();
        assert_eq!((gmail.host, gmail.port, gmail.tls), ("pop.gmail.com", 995, TlsMode::Implicit));
        assert_eq!(provider_of_host("outlook.office365.com").unwrap().name, "Outlook.com");
        assert!(provider_of_address("me@example.org").is_none() && provider_of_address("gmail.com").is_none());
        for provider in PROVIDERS {
            assert!(
                provider.odd.iter().all(|o| !o.what.ends_with('.') && o.source.contains(['.', '#'])),
                "{}",
                provider.name
            );
        }
    }
}
