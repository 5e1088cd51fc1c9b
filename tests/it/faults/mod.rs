//! Every step: the real program and a real Dovecot, stopped or made to fail at each step that the program takes.
//!
//! A step is a durable step on disk, a commit of the state, a line sent or a line heard (`src/faults`). For each
//! scenario of the table: it is run; run again, with nothing to do; then, from the same beginning, for every step and
//! every kind of fault, a run that meets the fault there and one that does not. The end has to be the same on both sides,
//! message by message, and nothing is left to do.
//!
//! Ordinarily a part of the steps is tried, which part goes round with the seed; `MAILTIDE_SOAK=1` tries all of them.
//! A failure names the step as `KIND@N`; `MAILTIDE_FAULTS=KIND@N` tries that one alone, `MAILTIDE_FAULTS=KIND` all of a kind.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `scenarios` | the table |
//! | `world` | server, tree and state, put back to where a scenario begins |
//! | `arriving` | cut off before what came to the tree is on record, and then it goes from the server |
//! | `trial` | one fault: what the run may end with, and what has to be there after the next |

mod arriving;
mod scenarios;
mod trial;
mod world;
