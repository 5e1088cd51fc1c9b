//! The lines of an `.mbsyncrc`: words, quotes, sections that an empty line ends.

use super::super::draft::Setting;

/// What begins a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Before any section.
    Global,
    Account,
    Imap,
    Maildir,
    Channel,
    Group,
}

/// A section: an object with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) settings: Vec<Line>,
}

/// A setting with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) setting: Setting,
    pub(super) words: Vec<String>,
}

impl Line {
    /// The key as it is compared: mbsync does not look at capitals.
    pub(super) fn key(&self) -> String {
        self.setting.key.to_ascii_lowercase()
    }

    /// The first word, or nothing.
    pub(super) fn word(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether a word is among the words, in any spelling.
    pub(super) fn says(&self, word: &str) -> bool {
        self.words.iter().any(|w| w.eq_ignore_ascii_case(word))
    }
}

impl Section {
    /// The last line of one of these keys, which are in lower case.
    pub(super) fn last(&self, keys: &[&str]) -> Option<&Line> {
        self.settings.iter().rev().find(|line| keys.contains(&line.key().as_str()))
    }

    /// The word of that key.
    pub(super) fn word(&self, key: &str) -> Option<&str> {
        self.last(&[key]).map(Line::word).filter(|word| !word.is_empty())
    }
}

/// Reads all sections; what stands outside of them is the first one.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { kind: Kind::Global, name: String::new(), settings: Vec::new() }];
    let mut inside = false;
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        let words = words(line);
        let Some((key, words)) = words.split_first() else {
            inside = false;
            continue;
        };
        let kind = match key.to_ascii_lowercase().as_str() {
            "imapaccount" => Some(Kind::Account),
            "imapstore" => Some(Kind::Imap),
            "maildirstore" => Some(Kind::Maildir),
            "channel" if !in_group(&sections, inside) => Some(Kind::Channel),
            "group" => Some(Kind::Group),
            _ => None,
        };
        let setting = Setting { line: n + 1, key: key.clone(), value: words.join(" ") };
        let line = Line { setting, words: words.to_vec() };
        if let Some(kind) = kind {
            let mut section = Section { kind, name: line.word().to_owned(), settings: Vec::new() };
            if kind == Kind::Group {
                // Channels may stand behind the name.
                let words = line.words.get(1..).unwrap_or_default().to_vec();
                section.settings.push(Line { words, ..line });
            }
            sections.push(section);
            inside = true;
            continue;
        }
        let at = if inside { sections.len() - 1 } else { 0 };
        if let Some(section) = sections.get_mut(at) {
            section.settings.push(line);
        }
    }
    sections
}

fn in_group(sections: &[Section], inside: bool) -> bool {
    inside && sections.last().is_some_and(|section| section.kind == Kind::Group)
}

/// The words of a line: spaces apart, `"` around those with spaces, a backslash before a sign that means itself, and
/// nothing behind a `#` that begins a word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#') => return words,
            Some(_) => {}
        }
        let (mut word, mut quoted) = (String::new(), false);
        while let Some(c) = chars.next_if(|c| quoted || !c.is_whitespace()) {
            match c {
                '"' => quoted = !quoted,
                '\\' => word.extend(chars.next()),
                c => word.push(c),
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_escaped() {
        for (line, expected) in [
            ("  Path  ~/Mail/  # here", &["Path", "~/Mail/"][..]),
            (r#"PassCmd "pass \"a b\" \\ x""#, &["PassCmd", r#"pass "a b" \ x"#]),
            (r#"Far :r:"[Gmail]/All Mail""#, &["Far", ":r:[Gmail]/All Mail"]),
            ("Pass a#b", &["Pass", "a#b"]),
            ("Patterns \"\"", &["Patterns", ""]),
            ("", &[]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn an_empty_line_ends_a_section() {
        let read = sections(
            "Sync All\n\nIMAPAccount a\nHost h\n# c\nUser u\n\nExpunge Both\nGroup g x\nChannel y\nChannels z\n",
        );
        let shown: Vec<_> = read.iter().map(|s| (s.kind, s.name.as_str(), s.settings.len())).collect();
        assert_eq!(shown, [(Kind::Global, "", 2), (Kind::Account, "a", 2), (Kind::Group, "g", 3)]);
        assert_eq!(read[1].last(&["host"]).unwrap().setting.line, 4);
    }
}
