use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The options of a [`StoreUrl`](crate::StoreUrl), taken one by one by the provider that knows them.
///
/// Take each known option, then call [`finish`](Self::finish): what is left is unknown and refused with the
/// nearest known name.
pub struct Options {
    scheme: String,
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Options {
    pub(crate) fn new(scheme: &str, given: &[(String, String)]) -> Result<Self> {
        let mut names = HashSet::new();
        if let Some((name, _)) = given.iter().find(|(name, _)| !names.insert(name.as_str())) {
            return Err(Error::invalid(format!("the option {name} of the {scheme} URL is given twice; give it once")));
        }
        Ok(Self { scheme: scheme.to_owned(), given: given.to_vec(), known: Vec::new() })
    }

    /// Takes an option as text.
    ///
    /// Also the way to take a secret: nothing here ever shows its value.
    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let at = self.given.iter().position(|(given, _)| given == name)?;
        Some(self.given.swap_remove(at).1)
    }

    /// Takes an option that is one of a few words.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for another word; the text lists those there are.
    pub fn take_word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(self.refuse(name, &format!("one of {}", words.join(", "))))
            }
        }
    }

    /// Takes an option that is `true` or `false`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for anything else.
    pub fn take_bool(&mut self, name: &'static str) -> Result<Option<bool>> {
        self.take_word(name, &[("true", true), ("false", false)])
    }

    /// Takes an option that is a number from `least` to `most`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for what is not such a number; the text gives the
    /// range.
    pub fn take_number<T>(&mut self, name: &'static str, least: T, most: T) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.parse::<T>() {
            Ok(number) if number >= least && number <= most => Ok(Some(number)),
            _ => Err(self.refuse(name, &format!("a number from {least} to {most}"))),
        }
    }

    /// Refuses what was not taken.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), naming the unknown option and the nearest known one.
    pub fn finish(self) -> Result<()> {
        let Some((unknown, _)) = self.given.first() else { return Ok(()) };
        let nearest = self.known.iter().min_by_key(|known| strsim::damerau_levenshtein(unknown, known));
        Err(Error::invalid(match nearest {
            Some(nearest) => format!(
                "the {} URL has an unknown option, {unknown}; did you mean {nearest}? It takes {}",
                self.scheme,
                self.known.join(", ")
            ),
            None => format!("the {} URL has an option, {unknown}, but takes none", self.scheme),
        }))
    }

    fn refuse(&self, name: &str, form: &str) -> Error {
        Error::invalid(format!("the option {name} of the {} URL must be {form}", self.scheme))
    }
}

/// Names only: a value may be a secret (ERR-4).
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.given.iter().map(|(name, _)| name)).finish()
    }
}
