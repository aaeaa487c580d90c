//! What a person has answered once is not asked again when the tunnel is dialed again: nobody may be there then.

use crate::tunnel::{HostKeyQuestion, Prompt};
use std::collections::BTreeMap;
use std::path::Path;

/// Asks a person while the tunnel comes up for the first time, and itself afterwards. Held in memory alone.
pub(super) struct Remember<'a> {
    inner: &'a mut dyn Prompt,
    answers: BTreeMap<String, String>,
    accepted: Vec<String>,
    /// Questions of this dialing, so that an answer that was wrong is not given twice.
    asked: Vec<String>,
    /// It was up once: from now on nobody is asked.
    alone: bool,
}

impl<'a> Remember<'a> {
    pub(super) fn new(inner: &'a mut dyn Prompt) -> Self {
        Self {
            inner,
            answers: BTreeMap::new(),
            accepted: Vec::new(),
            asked: Vec::new(),
            alone: false,
        }
    }

    /// A dialing begins.
    pub(super) fn begin(&mut self) {
        self.asked.clear();
    }

    /// It came to a tunnel that is up.
    pub(super) fn came_in(&mut self) {
        self.alone = true;
    }

    fn answer(
        &mut self,
        question: String,
        ask: impl FnOnce(&mut dyn Prompt) -> Option<String>,
    ) -> Option<String> {
        let first = !self.asked.contains(&question);
        self.asked.push(question.clone());
        if first && let Some(answer) = self.answers.get(&question) {
            return Some(answer.clone());
        }
        if self.alone {
            return None;
        }
        let answer = ask(self.inner)?;
        self.answers.insert(question, answer.clone());
        Some(answer)
    }
}

impl Prompt for Remember<'_> {
    fn password(&mut self, user_at_host: &str) -> Option<String> {
        self.answer(format!("password {user_at_host}"), |inner| inner.password(user_at_host))
    }

    fn passphrase(&mut self, file: &Path) -> Option<String> {
        self.answer(format!("passphrase {}", file.display()), |inner| inner.passphrase(file))
    }

    fn interactive(
        &mut self,
        title: &str,
        instructions: &str,
        prompts: &[(String, bool)],
    ) -> Option<Vec<String>> {
        match prompts {
            [] => Some(Vec::new()),
            // A password by another way. A code that is good once is not kept.
            [(text, false)] if text.to_lowercase().contains("password") => {
                let key = format!("interactive {title} {text}");
                let ask = |inner: &mut dyn Prompt| {
                    inner.interactive(title, instructions, prompts)?.into_iter().next()
                };
                self.answer(key, ask).map(|answer| vec![answer])
            }
            _ if self.alone => None,
            _ => self.inner.interactive(title, instructions, prompts),
        }
    }

    fn accept_host_key(&mut self, question: &HostKeyQuestion) -> bool {
        let key = format!("{} {}", question.host, question.fingerprint);
        if self.accepted.contains(&key) {
            return true;
        }
        let accepted = !self.alone && self.inner.accept_host_key(question);
        if accepted {
            self.accepted.push(key);
        }
        accepted
    }

    fn banner(&mut self, text: &str) {
        if !self.alone {
            self.inner.banner(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person, who counts the questions.
    #[derive(Default)]
    struct Person(u32);

    impl Prompt for Person {
        fn password(&mut self, _: &str) -> Option<String> {
            self.0 += 1;
            Some(format!("answer {}", self.0))
        }
        fn passphrase(&mut self, _: &Path) -> Option<String> {
            self.0 += 1;
            Some("phrase".to_owned())
        }
        fn interactive(
            &mut self,
            _: &str,
            _: &str,
            prompts: &[(String, bool)],
        ) -> Option<Vec<String>> {
            self.0 += 1;
            Some(prompts.iter().map(|_| "typed".to_owned()).collect())
        }
        fn accept_host_key(&mut self, _: &HostKeyQuestion) -> bool {
            self.0 += 1;
            true
        }
    }

    fn question(fingerprint: &str) -> HostKeyQuestion {
        HostKeyQuestion {
            host: "h".to_owned(),
            key_type: "ED25519".to_owned(),
            fingerprint: fingerprint.to_owned(),
            keep_in: None,
            bad_lines: 0,
        }
    }

    #[test]
    fn a_person_is_asked_once_and_a_wrong_answer_is_not_repeated() {
        let mut person = Person::default();
        let mut remember = Remember::new(&mut person);
        let password = ("Password: ".to_owned(), false);
        remember.begin();
        assert_eq!(remember.password("u@h").unwrap(), "answer 1");
        assert_eq!(remember.password("u@h").unwrap(), "answer 2", "the first was wrong");
        assert_eq!(
            remember.interactive("", "", std::slice::from_ref(&password)).unwrap(),
            ["typed"]
        );
        assert!(remember.accept_host_key(&question("a")));
        remember.came_in();
        remember.begin();
        assert_eq!(remember.password("u@h").unwrap(), "answer 2");
        assert_eq!(remember.password("u@h"), None, "nobody is there");
        assert_eq!(remember.password("v@h"), None);
        assert_eq!(remember.interactive("", "", &[password]).unwrap(), ["typed"]);
        assert_eq!(remember.interactive("", "", &[("Code: ".to_owned(), false)]), None);
        assert_eq!(remember.interactive("", "", &[]), Some(Vec::new()));
        assert!(remember.accept_host_key(&question("a")));
        assert!(!remember.accept_host_key(&question("b")), "another key is nobody's word");
        assert_eq!(person.0, 4);
    }
}
