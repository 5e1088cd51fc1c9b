//! What the big providers and the common servers do that others don't, as their users report it.

use super::behaviour::{Behaviour, May, PLAIN, among, before, ends, hang_up, instead, replace, rewrite, row};
use super::server::swap;

const GMAIL: &str = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE \
                     CONDSTORE ESEARCH LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584";
const EXCHANGE: &str = "IMAP4 IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+";
const YAHOO: &str = "IMAP4rev1 ID MOVE NAMESPACE X-ID-ACLID UIDPLUS LITERAL+ CHILDREN XYMHIGHESTMODSEQ AUTH=PLAIN";
const ICLOUD: &str = "IMAP4rev1 CONDSTORE ESEARCH ID LITERAL+ NAMESPACE UIDPLUS XAPPLEPUSHSERVICE";
const GMX: &str = "IMAP4rev1 CHILDREN ENABLE ID IDLE LIST-EXTENDED LIST-STATUS LITERAL- MOVE NAMESPACE SASL-IR SORT SPECIAL-USE \
                   UIDPLUS UNSELECT WITHIN AUTH=PLAIN";
const ZIMBRA: &str = "IMAP4rev1 ACL BINARY CATENATE CHILDREN CONDSTORE ENABLE ESEARCH ESORT ID IDLE LIST-EXTENDED LIST-STATUS \
                      LITERAL+ MULTIAPPEND NAMESPACE QRESYNC QUOTA SASL-IR UIDPLUS UNSELECT WITHIN XLIST";
const COURIER: &str =
    "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION";
const CYRUS: &str = "IMAP4rev1 LITERAL+ ID ENABLE ACL QUOTA NAMESPACE UIDPLUS CHILDREN UNSELECT ESEARCH CONDSTORE QRESYNC MOVE \
                     LIST-EXTENDED LIST-STATUS SPECIAL-USE";
const HMAIL: &str = "IMAP4 IMAP4rev1 CHILDREN IDLE QUOTA SORT ACL NAMESPACE RIGHTS=texk";
const PROTON: &str = "IMAP4rev1 ID IDLE MOVE STARTTLS UIDPLUS UNSELECT";
const DAVMAIL: &str = "IMAP4REV1 AUTH=LOGIN UIDPLUS MOVE IDLE SPECIAL-USE";
const FLAGS: &str = "UID FETCH…FLAGS";
const BODY: &str = "UID FETCH…BODY.PEEK[]";

pub fn rows() -> Vec<Behaviour> {
    let families = [gmail(), microsoft(), yahoo(), apple_and_gmx(), open_servers(), bridges()];
    families.into_iter().flatten().collect()
}

fn gmail() -> Vec<Behaviour> {
    vec![
        row("Gmail: as its capabilities say", "jstedfast/MailKit#1396: what imap.gmail.com announces").speaks(GMAIL),
        row("Gmail: OK Success [THROTTLED]", "mscdex/node-imap#593, jstedfast/MailKit#1396").speaks(GMAIL).says(
            rewrite("LIST|NAMESPACE|SELECT", |asked| {
                let text = String::from_utf8_lossy(asked.reply).into_owned();
                text.replace(" OK listed", " OK Success [THROTTLED]")
                    .replace(" OK done", " OK Success [THROTTLED]")
                    .into_bytes()
            }),
        ),
        row(
            "Gmail: bandwidth exceeded, as OVERQUOTA",
            "ljmerza/ha-email-sensor#16; support.google.com/a/answer/1071518",
        )
        .speaks(GMAIL)
        .says(instead(BODY, "TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. abc123\n"))
        .exits(&[5])
        .tells(&["bandwidth limits"]),
        row("Gmail: too many simultaneous connections", "MailCore/mailcore2#587")
            .speaks(GMAIL)
            .says(instead("LOGIN", "TAG NO [ALERT] Too many simultaneous connections. (Failure)\n"))
            .exits(&[4, 5])
            .tells(&["Too many simultaneous connections"]),
        row("Gmail: an app password is wanted", "support.google.com/mail/answer/185833")
            .speaks(GMAIL)
            .says(instead("LOGIN", "TAG NO [ALERT] Application-specific password required (Failure)\n"))
            .exits(&[4])
            .tells(&["app password"]),
        row("Gmail: NO System Error (Failure) at a body", "OfflineIMAP/offlineimap#682")
            .speaks(GMAIL)
            .says(instead(BODY, "TAG NO System Error (Failure)\n"))
            .exits(&[1])
            .tells(&["System Error"]),
        row("Gmail: NO System Error (Failure) at a SELECT", "mscdex/node-imap#715")
            .speaks(GMAIL)
            .says(instead("SELECT|EXAMINE", "TAG NO System Error (Failure)\n"))
            .exits(&[1])
            .tells(&["System Error"])
            .may(May::BeTwice),
        row("Gmail: containers that cannot be opened, and special uses", "developers.google.com/gmail/imap")
            .speaks(GMAIL)
            .says(replace(
                "LIST",
                "* LIST (\\HasNoChildren) \"/\" \"Archive\"",
                "* LIST (\\HasChildren \\Noselect) \"/\" \"[Gmail]\"\n* LIST (\\All \\HasNoChildren) \"/\" \"Archive\"",
            )),
        row("Gmail: labels nobody asked for", "developers.google.com/gmail/imap/imap-extensions").speaks(GMAIL).says(
            replace(FLAGS, "(UID", "(X-GM-LABELS (\"\\\\Inbox\" \"\\\\Sent\" Important \"Muy (Importante\") UID"),
        ),
        row("Gmail: EXPUNGE archives and does not delete", "support.google.com/mail/answer/7190: Auto-Expunge")
            .speaks(GMAIL)
            .says(ends("UID EXPUNGE", "TAG OK Success\n")),
        row("Gmail: a session is ended after a day", "BYE System error, Session expired: gaubert/gmvault")
            .speaks(GMAIL)
            .says(hang_up("LIST", "* BYE Session expired, please login again\n").once()),
    ]
}

fn microsoft() -> Vec<Behaviour> {
    vec![
        row("Exchange: as its capabilities say", "simonrob/email-oauth2-proxy#74").speaks(EXCHANGE),
        row("Outlook.com: User is authenticated but not connected", "UvA-FNWI/M365-IMAP#8, mscdex/node-imap#523, getmail6/getmail6#214")
            .speaks(EXCHANGE)
            .says(instead("NAMESPACE|LIST", "TAG BAD User is authenticated but not connected.\n"))
            .exits(&[5])
            .tells(&["authenticated but not connected"]),
        row("Outlook.com: Connection closed. 14", "simonrob/email-oauth2-proxy#74")
            .speaks(EXCHANGE)
            .says(hang_up("SELECT|EXAMINE", "TAG BAD User is authenticated but not connected.\n* BYE Connection closed. 14\n"))
            .exits(&[1, 5]),
        row("Outlook.com: Request is throttled, as NO", "ikvk/imap_tools#135")
            .speaks(EXCHANGE)
            .says(instead(BODY, "TAG NO Request is throttled. Suggested Backoff Time: 299910 milliseconds\n"))
            .exits(&[5])
            .tells(&["throttled"]),
        row("Outlook.com: Request is throttled, as BAD and BYE", "simonrob/email-oauth2-proxy#191")
            .speaks(EXCHANGE)
            .says(hang_up(BODY, "TAG BAD Request is throttled. Suggested Backoff Time: 89117 milliseconds\n* BYE Connection closed. 13\n"))
            .exits(&[5]),
        row("Exchange: a code that holds an error and brackets", "ruby/net-imap#597")
            .speaks(EXCHANGE)
            .says(rewrite("AUTHENTICATE", |asked| {
                swap(asked.reply, b"OK [CAPABILITY", b"OK [Error=\"Microsoft.Exchange.Data.Storage.WrongServerException:Cross Server access\" Service=Imap4]")
            })),
        row("Exchange: RFC822.SIZE three times as large as the body", "stalwartlabs/vandelay#12")
            .speaks(EXCHANGE)
            .says(replace(FLAGS, "RFC822.SIZE ", "RFC822.SIZE 3")),
        row("Exchange: items in another order", "coddingtonbear/django-mailbox#232: `(RFC822.SIZE 45274 UID 84)`")
            .speaks(EXCHANGE)
            .says(rewrite(FLAGS, |asked| {
                let text = String::from_utf8_lossy(asked.reply).into_owned();
                let line = |line: &str| {
                    let (start, rest) = line.strip_suffix(")\r\n")?.split_once("(UID ")?;
                    let (uid, items) = rest.split_once(' ')?;
                    Some(format!("{start}({items} UID {uid})\r\n"))
                };
                text.split_inclusive("\r\n").map(|l| line(l).unwrap_or_else(|| l.to_owned())).collect::<String>().into_bytes()
            })),
        row("Exchange: a message that cannot be converted", "OfflineIMAP/offlineimap#62: the rest comes")
            .speaks(EXCHANGE)
            .says(rewrite(BODY, |asked| match asked.command.contains("7") {
                true => format!("{} NO The specified message cannot be retrieved\r\n", asked.tag).into_bytes(),
                false => asked.reply.to_vec(),
            }))
            .exits(&[1])
            .tells(&["UID 7"]),
        row("Exchange: keywords are not kept", "PERMANENTFLAGS without \\*")
            .speaks(EXCHANGE)
            .says(replace("SELECT", " \\*)]", ")]")),
        row("Exchange: EXISTS between all answers", "Exchange tells of new mail at any time").speaks(EXCHANGE).says(before("UID", "* 7 EXISTS\n* 0 RECENT\n")).exits(&[0, 1]),
        row("Exchange: Command Error. 12", "apps.fz-juelich.de: BAD for what it does not know, many times a BYE")
            .speaks(EXCHANGE)
            .says(instead("UID STORE", "TAG BAD Command Error. 12\n"))
            .exits(&[1])
            .tells(&["Command Error. 12"]),
    ]
}

fn yahoo() -> Vec<Behaviour> {
    vec![
        row("Yahoo: as its capabilities say", "jstedfast/MailKit#358").speaks(YAHOO),
        row("Yahoo: Rate limit hit, and BYE", "postalsys/imapflow#75")
            .speaks(YAHOO)
            .says(hang_up("LIST", "* BYE IMAP4rev1 Server logging out\nTAG NO [LIMIT] LIST Rate limit hit.\n"))
            .exits(&[5]),
        row("Yahoo: Rate limit hit at every command", "postalsys/imapflow#75")
            .speaks(YAHOO)
            .says(instead("SELECT|EXAMINE|UID", "TAG NO [LIMIT] SELECT Rate limit hit.\n"))
            .exits(&[1, 5])
            .tells(&["Rate limit hit"]),
        row("Yahoo: Server error - Please try again later", "ikvk/imap_tools#229, joeyates/imap-backup#218")
            .speaks(YAHOO)
            .says(instead(BODY, "TAG NO [UNAVAILABLE] UID FETCH Server error - Please try again later\n"))
            .exits(&[1, 5])
            .tells(&["try again later"]),
        row("Yahoo: OK tells the size of the mailbox", "jstedfast/MailKit#358")
            .speaks(YAHOO)
            .says(ends("LOGIN", "TAG OK AUTHENTICATE completed - Mailbox size in bytes is 7150780663\n")),
        row("Yahoo: INBOX is called Inbox", "jstedfast/MailKit#358").speaks(YAHOO).says(replace(
            "LIST",
            "(\\HasNoChildren) \"/\" \"INBOX\"",
            "(\\Inbox \\HasNoChildren) \"/\" \"Inbox\"",
        )),
    ]
}

fn apple_and_gmx() -> Vec<Behaviour> {
    vec![
        row("iCloud: as its capabilities say", "kenn-io/msgvault#436").speaks(ICLOUD),
        row("iCloud: OK without the body", "modern-email/defects#36: for RFC822; a fetch that gives the UID alone")
            .speaks(ICLOUD)
            .says(instead(BODY, "* 7 FETCH (UID 7)\nTAG OK FETCH completed\n"))
            .exits(&[1]),
        row("iCloud: a search with numbers that are no UIDs", "kenn-io/msgvault#436")
            .speaks(ICLOUD)
            .says(before("UID", "* SEARCH 901 902 903\n")),
        row("iCloud: a header field that is not there is an empty literal", "dinhvh/libetpan#426")
            .speaks(ICLOUD)
            .says(before(FLAGS, "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (Message-ID)] {0}\n)\n")),
        row("GMX: as its capabilities say", "nextcloud/mail and others: imap.gmx.net, imap.web.de").speaks(GMX),
        row("GMX: too many connections", "GMX and WEB.DE allow few: `NO [LIMIT]`, hilfe.gmx.net")
            .speaks(GMX)
            .says(instead("AUTHENTICATE", "TAG NO [LIMIT] Too many concurrent connections\n"))
            .exits(&[5])
            .tells(&["`connections`"]),
        row("GMX: IMAP is not allowed in the settings", "hilfe.gmx.net: POP3/IMAP must be switched on")
            .speaks(GMX)
            .says(instead("AUTHENTICATE", "TAG NO [AUTHENTICATIONFAILED] authentication failed\n"))
            .exits(&[4])
            .tells(&["authentication failed"]),
        row(
            "GMX: UIDs of another folder after a move by filters",
            "GMX moves mail into its own folders while a session runs",
        )
        .speaks(GMX)
        .says(before(BODY, "* 7 EXPUNGE\n* 6 EXISTS\n"))
        .exits(&[0, 1]),
    ]
}

fn open_servers() -> Vec<Behaviour> {
    vec![
        row("Zimbra: as its capabilities say", "imapsync/imapsync#311").speaks(ZIMBRA),
        row("Zimbra: flags twice, without backslash too", "imapsync/imapsync#311: `Forwarded $Forwarded Junk $Junk`")
            .speaks(ZIMBRA)
            .says(replace("SELECT|EXAMINE", "\\Answered \\Flagged", "Forwarded $Forwarded Junk $Junk \\Answered \\Flagged")),
        row("Zimbra: shared folders and containers", "Zimbra lists other users' mail under /home/")
            .speaks(ZIMBRA)
            .says(replace("NAMESPACE", "NIL NIL", "((\"/home/\" \"/\")) NIL"))
            .says(among("LIST", "* LIST (\\HasNoChildren) \"/\" \"/home/you/Sent\"\n")),
        row("Zimbra: folders that are no mail", "Zimbra lists Contacts, Calendar, Chats with \\NoSelect")
            .speaks(ZIMBRA)
            .says(among("LIST", "* LIST (\\NoInferiors \\Noselect) \"/\" \"Contacts\"\n* LIST (\\Noselect) \"/\" \"Emailed Contacts\"\n")),
        row("Courier: everything below INBOX", "LukeSmithxyz/mutt-wizard#994, rgladwell/imap-upload#16")
            .speaks(COURIER)
            .below("INBOX."),
        row("Courier: a name outside the namespace", "rgladwell/imap-upload#16: Client tried to access nonexistent namespace")
            .speaks(COURIER)
            .below("INBOX.")
            .says(instead("CREATE", "TAG NO Client tried to access nonexistent namespace. (Mailbox name should probably be prefixed with: INBOX.)\n"))
            .exits(&[1])
            .tells(&["nonexistent namespace"]),
        row("Courier: BYE at too many connections", "courier-imap: MAXPERIP")
            .speaks(COURIER)
            .says(hang_up("", "* BYE Maximum connection limit reached. Please try again later.\n"))
            .exits(&[5])
            .tells(&["Maximum connection limit"]),
        row("Courier: NAMESPACE with others' and shared", "nextcloud/mail#2105")
            .speaks(COURIER)
            .below("INBOX.")
            .says(replace("NAMESPACE", "NIL NIL", "((\"user.\" \".\")) ((\"shared.\" \".\"))"))
            .says(among("LIST", "* LIST (\\HasNoChildren) \".\" \"shared.all\"\n")),
        row("Cyrus: as its capabilities say", "cyrusimap/cyrus-imapd#4787").speaks(CYRUS),
        row("Cyrus: BAD Invalid UID Fetch modifier behind a proxy", "cyrusimap/cyrus-imapd#4787")
            .speaks(CYRUS)
            .says(instead("SELECT…QRESYNC|EXAMINE…QRESYNC|UID FETCH…CHANGEDSINCE", "TAG BAD Invalid UID Fetch modifier VANISHED\n")),
        row("Cyrus: MODSEQ 0 after an upgrade", "cyrusimap/cyrus-imapd#1029")
            .speaks(CYRUS)
            .says(rewrite("SELECT|EXAMINE|UID FETCH", |asked| {
                let text = String::from_utf8_lossy(asked.reply).into_owned();
                text.replace("MODSEQ (", "MODSEQ (0").into_bytes()
            })),
        row("Cyrus: NAMESPACE with an empty shared prefix", "nextcloud/mail#2105: `((\"INBOX.\" \".\")) ((\"user.\" \".\")) ((\"\" \".\"))`")
            .speaks(CYRUS)
            .below("INBOX.")
            .says(replace("NAMESPACE", "NIL NIL", "((\"user.\" \".\")) ((\"\" \".\"))")),
        row("Cyrus: ALERT about the quota at a SELECT", "cyrus: `* NO [ALERT] Mailbox is at 97% of quota`")
            .speaks(CYRUS)
            .says(before("SELECT|EXAMINE", "* NO [ALERT] Mailbox is at 97% of quota\n"))
            .tells(&["97% of quota"]),
        row("hMailServer: as its capabilities say", "hmailserver/hmailserver: no UIDPLUS, no LITERAL+").speaks(HMAIL),
        row("hMailServer: untagged answers in other letters", "jstedfast/MailKit#422: `* 3 Recent`")
            .speaks(HMAIL)
            .says(replace("SELECT|EXAMINE", "* 0 RECENT", "* 3 Recent")),
        row("hMailServer: a body that is shorter than said", "hmailserver/hmailserver#459: FETCH of parts")
            .speaks(HMAIL)
            .says(hang_up(BODY, "* 7 FETCH (UID 7 BODY[] {700}\nFrom: ann@example.org\n)\nTAG OK FETCH completed\n"))
            .exits(&[1])
            .may(May::BeTwice),
        row("an old server without any extension", "RFC 3501 alone").speaks(PLAIN),
    ]
}

fn bridges() -> Vec<Behaviour> {
    vec![
        row("Proton Bridge: as its capabilities say", "ProtonMail/proton-bridge#123").speaks(PROTON),
        row("Proton Bridge: UIDVALIDITY moves on after an update", "OfflineIMAP/offlineimap#633: saved 2; got 3")
            .speaks(PROTON)
            .says(rewrite("SELECT|EXAMINE|STATUS", |asked| swap(asked.reply, b"UIDVALIDITY 100", b"UIDVALIDITY 200")))
            .may(May::Remain),
        row("Proton Bridge: NO at UID EXPUNGE", "ProtonMail/proton-bridge#123")
            .speaks(PROTON)
            .says(instead("UID EXPUNGE", "TAG NO UID EXPUNGE is not supported\n"))
            .exits(&[1])
            .tells(&["not supported"]),
        row(
            "Proton Bridge: flags in two spellings",
            "ProtonMail/proton-bridge#220: `(\\Seen \\SEEN \\Flagged \\FLAGGED)`",
        )
        .speaks(PROTON)
        .says(rewrite("SELECT|EXAMINE|UID FETCH…FLAGS", |asked| swap(asked.reply, b"\\Seen", b"\\Seen \\SEEN"))),
        row("Proton Bridge: UIDs are given to other messages", "ProtonMail/proton-bridge#220: UIDs are not stable")
            .speaks(PROTON)
            .says(rewrite(FLAGS, |asked| {
                let swapped = swap(asked.reply, b"(UID 5 ", b"(UID X ");
                swap(&swap(&swapped, b"(UID 6 ", b"(UID 5 "), b"(UID X ", b"(UID 6 ")
            }))
            .exits(&[0, 1]),
        row("DavMail: as its capabilities say", "mguessan/davmail").speaks(DAVMAIL),
        row("DavMail: a body without its UID", "OfflineIMAP/offlineimap#479")
            .speaks(DAVMAIL)
            .says(rewrite(BODY, |asked| swap(&swap(asked.reply, b"UID 7 ", b""), b"UID 1 ", b"")))
            .exits(&[1]),
        row(
            "DavMail: sizes that are not known yet",
            "getmail6/getmail6#69: sizes cost a download, so they are estimated",
        )
        .speaks(DAVMAIL)
        .says(rewrite(FLAGS, |asked| swap(asked.reply, b"RFC822.SIZE 3", b"RFC822.SIZE 9"))),
        row("DavMail: an error in words of Java", "mguessan/davmail#457")
            .speaks(DAVMAIL)
            .says(instead(BODY, "TAG BAD unable to handle request: Connection reset\n"))
            .exits(&[1])
            .tells(&["Connection reset"]),
    ]
}
