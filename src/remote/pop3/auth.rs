//! How a secret is shown to the server: SASL (RFC 5034), USER and PASS, or APOP.

/// The way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pop3Auth {
    /// What the server offers, the fewest round trips first: AUTH PLAIN, USER and PASS, AUTH LOGIN. Without TLS, APOP
    /// when the server can, so that no password leaves.
    #[default]
    Auto,
    /// AUTH PLAIN (RFC 4616).
    Plain,
    /// AUTH LOGIN.
    Login,
    /// USER and PASS (RFC 1939 §7).
    User,
    /// APOP (RFC 1939 §7): the digest of the password and the greeting's timestamp.
    Apop,
    /// AUTH XOAUTH2; the secret is an access token.
    XOAuth2,
    /// AUTH OAUTHBEARER (RFC 7628); the secret is an access token.
    OAuthBearer,
}

impl Pop3Auth {
    /// Every way, in the order of the documentation.
    pub const ALL: [Pop3Auth; 7] = [
        Pop3Auth::Auto,
        Pop3Auth::Plain,
        Pop3Auth::Login,
        Pop3Auth::User,
        Pop3Auth::Apop,
        Pop3Auth::XOAuth2,
        Pop3Auth::OAuthBearer,
    ];

    /// The name in configurations and messages, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Pop3Auth::Auto => "auto",
            Pop3Auth::Plain => "plain",
            Pop3Auth::Login => "login",
            Pop3Auth::User => "user",
            Pop3Auth::Apop => "apop",
            Pop3Auth::XOAuth2 => "xoauth2",
            Pop3Auth::OAuthBearer => "oauthbearer",
        }
    }
}
