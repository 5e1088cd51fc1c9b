//! Exit codes: what they mean, and how the codes of several accounts become one.

use crate::error::Kind;

/// The exit code of a run, as documented in the man page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Everything is in sync.
    InSync = 0,
    /// Some messages or mailboxes failed; the rest is in sync. Or standard output could not be written.
    SomeFailed = 1,
    /// The command line does not fit.
    Usage = 2,
    /// Configuration, local tree or state: a person must mend something here.
    Config = 3,
    /// The server refused the credentials.
    Auth = 4,
    /// Unreachable, TLS refused, or the server said "later".
    Unreachable = 5,
    /// The guard refused the plan.
    Guard = 6,
    /// Another run holds the lock.
    Locked = 7,
    /// Ctrl-C, SIGTERM or the deadline ended the run.
    Interrupted = 130,
}

impl Exit {
    /// The code of a run in which several accounts ended differently: the one that needs a person most.
    #[must_use]
    pub fn merge(self, other: Exit) -> Exit {
        if other.rank() > self.rank() { other } else { self }
    }

    /// How urgently a person must act; a failed item is the least, an interrupted run hides everything else.
    fn rank(self) -> u8 {
        match self {
            Exit::InSync => 0,
            Exit::SomeFailed => 1,
            Exit::Locked => 2,
            Exit::Unreachable => 3,
            Exit::Guard => 4,
            Exit::Auth => 5,
            Exit::Config => 6,
            Exit::Usage => 7,
            Exit::Interrupted => 8,
        }
    }

    /// The number the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Exit {
        match kind {
            Kind::Usage => Exit::Usage,
            Kind::Config | Kind::LocalTree | Kind::State | Kind::Damaged => Exit::Config,
            Kind::Auth => Exit::Auth,
            Kind::Unreachable | Kind::Tls | Kind::TryLater | Kind::Protocol | Kind::Refused => Exit::Unreachable,
            Kind::Guard => Exit::Guard,
            Kind::Locked => Exit::Locked,
            Kind::Interrupted => Exit::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_commutative_and_keeps_the_worse() {
        let all = [
            Exit::InSync,
            Exit::SomeFailed,
            Exit::Usage,
            Exit::Config,
            Exit::Auth,
            Exit::Unreachable,
            Exit::Guard,
            Exit::Locked,
            Exit::Interrupted,
        ];
        for a in all {
            assert_eq!(a.merge(Exit::InSync), a);
            for b in all {
                assert_eq!(a.merge(b), b.merge(a));
            }
        }
        assert_eq!(Exit::Unreachable.merge(Exit::Auth), Exit::Auth);
    }
}
