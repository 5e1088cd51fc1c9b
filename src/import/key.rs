//! The keys of Mailtide's configuration that an import writes: their names, tables and order, here and nowhere else.

/// The protocol of an account's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Both ways.
    Imap,
    /// Download.
    Pop3,
}

impl Protocol {
    /// The name of the server's table.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
        }
    }

    /// The word for TLS that begins in clear, in the protocol's own language.
    pub fn upgrade(self) -> &'static str {
        match self {
            Protocol::Imap => "starttls",
            Protocol::Pop3 => "stls",
        }
    }
}

/// A key of Mailtide's configuration; in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "mailtide.toml(5) says what each means")]
pub enum Key {
    Maildir,
    Layout,
    Direction,
    Deletions,
    Trash,
    Mailboxes,
    Rename,
    Host,
    Port,
    Tls,
    User,
    Password,
    CaFile,
    Pin,
    ClientCert,
    ClientKey,
    Connections,
    Compress,
    Timeout,
    Disable,
    Mailbox,
    Keep,
    MaxSize,
    MaxMessages,
    FetchedBefore,
}

/// The table of an account that a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `[accounts.NAME]`
    Account,
    /// `[accounts.NAME.imap]` or `[accounts.NAME.pop3]`
    Server,
}

impl Key {
    /// All keys, as they are written.
    pub const ALL: [Key; 25] = [
        Key::Maildir,
        Key::Layout,
        Key::Direction,
        Key::Deletions,
        Key::Trash,
        Key::Mailboxes,
        Key::Rename,
        Key::Host,
        Key::Port,
        Key::Tls,
        Key::User,
        Key::Password,
        Key::CaFile,
        Key::Pin,
        Key::ClientCert,
        Key::ClientKey,
        Key::Connections,
        Key::Compress,
        Key::Timeout,
        Key::Disable,
        Key::Mailbox,
        Key::Keep,
        Key::MaxSize,
        Key::MaxMessages,
        Key::FetchedBefore,
    ];

    /// Its name, and the table it stands in.
    pub fn name(self) -> (&'static str, Table) {
        match self {
            Key::Maildir => ("maildir", Table::Account),
            Key::Layout => ("layout", Table::Account),
            Key::Direction => ("direction", Table::Account),
            Key::Deletions => ("deletions", Table::Account),
            Key::Trash => ("trash", Table::Account),
            Key::Mailboxes => ("mailboxes", Table::Account),
            Key::Rename => ("rename", Table::Account),
            Key::Host => ("host", Table::Server),
            Key::Port => ("port", Table::Server),
            Key::Tls => ("tls", Table::Server),
            Key::User => ("user", Table::Server),
            Key::Password => ("password", Table::Server),
            Key::CaFile => ("ca-file", Table::Server),
            Key::Pin => ("pin", Table::Server),
            Key::ClientCert => ("client-cert", Table::Server),
            Key::ClientKey => ("client-key", Table::Server),
            Key::Connections => ("connections", Table::Server),
            Key::Compress => ("compress", Table::Server),
            Key::Timeout => ("timeout", Table::Server),
            Key::Disable => ("disable", Table::Server),
            Key::Mailbox => ("mailbox", Table::Server),
            Key::Keep => ("keep", Table::Server),
            Key::MaxSize => ("max-size", Table::Server),
            Key::MaxMessages => ("max-messages", Table::Server),
            Key::FetchedBefore => ("fetched-before", Table::Server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_written_once() {
        let mut names: Vec<_> = Key::ALL.iter().map(|key| key.name().0).collect();
        assert!(Key::ALL.is_sorted());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Key::ALL.len());
    }
}
