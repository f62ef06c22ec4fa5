use std::fmt;
use std::str::FromStr;

use crate::{Error, Options, Result};

/// Where a store is and how to open it: `scheme:location?option=value&…`.
///
/// `memory:`, `sled:./data?durability=power`, `redis://user:password@host:6379/0`. The location is a path, or
/// `//user:password@hosts/path` for servers. `%XX` stands for a byte anywhere; in a path write `%3F` for `?` and
/// `%25` for `%`. Every other character is itself: a path may hold spaces, `#` and `&`.
///
/// `Display` and `Debug` show neither user info nor the values of options (ERR-4).
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    scheme: String,
    user: Option<String>,
    password: Option<String>,
    hosts: Option<String>,
    path: String,
    options: Vec<(String, String)>,
}

impl StoreUrl {
    /// The scheme, in lower case: which provider, and how it is reached.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The user of `//user:password@…`, decoded.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password of `//user:password@…`, decoded. Keep it out of every text (ERR-4).
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The hosts of `//host:port,host:port/…` as written; `None` where the location is only a path.
    #[must_use]
    pub fn hosts(&self) -> Option<&str> {
        self.hosts.as_deref()
    }

    /// The path, decoded: all of the location for embedded providers, what follows the hosts for servers.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The options, for the provider to take one by one.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if one is given twice.
    pub fn options(&self) -> Result<Options> {
        Options::new(&self.scheme, &self.options)
    }

    /// The same URL with one option set, whether it was given or not.
    #[must_use]
    pub fn with_option(mut self, name: &str, value: &str) -> Self {
        self.options.retain(|(given, _)| given != name);
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    /// # Errors
    ///
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a missing scheme, broken percent-encoding, or an
    /// option without `=`. The text never repeats the URL, which may hold a password.
    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).ok_or_else(|| {
            Error::invalid("a store URL begins with a scheme and a colon, as in sled:./data or memory:")
        })?;
        let scheme = scheme.to_ascii_lowercase();
        let (location, query) = rest.split_once('?').map_or((rest, ""), |(location, query)| (location, query));
        let (authority, path) = match location.strip_prefix("//") {
            Some(location) => match location.split_once('/') {
                Some((authority, path)) => (Some(authority), path),
                None => (Some(location), ""),
            },
            None => (None, location),
        };
        let (info, hosts) = match authority {
            Some(authority) => match authority.rsplit_once('@') {
                Some((info, hosts)) => (Some(info), Some(hosts.to_owned())),
                None => (None, Some(authority.to_owned())),
            },
            None => (None, None),
        };
        let (user, password) = match info.map(|info| info.split_once(':').map_or((info, None), |(u, p)| (u, Some(p)))) {
            Some((user, password)) => {
                let user = decode(&scheme, "user", user)?;
                let password = password.map(|text| decode(&scheme, "password", text)).transpose()?;
                (Some(user).filter(|user| !user.is_empty()), password)
            }
            None => (None, None),
        };
        let mut options = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or_else(|| {
                Error::invalid(format!("an option of the {scheme} URL has no value; write it as name=value"))
            })?;
            options.push((decode(&scheme, "option's name", name)?, decode(&scheme, "option's value", value)?));
        }
        let path = decode(&scheme, "path", path)?;
        Ok(Self { scheme, user, password, hosts, path, options })
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Decodes `%XX`; refuses what is broken without repeating it, for it may be a secret.
fn decode(scheme: &str, part: &str, text: &str) -> Result<String> {
    let broken = |why: &str| Error::invalid(format!("the {part} in the {scheme} URL {why}; write % itself as %25"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(broken("has a % that two hexadecimal digits do not follow"));
            };
            bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
        } else {
            bytes.push(byte);
        }
    }
    // The driver's own text would show the bytes, which may be a secret.
    String::from_utf8(bytes).ok().ok_or_else(|| broken("is not UTF-8 once decoded"))
}

/// What may be shown of the URL: no user info and no option values.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(hosts) = &self.hosts {
            write!(f, "//{hosts}/")?;
        }
        f.write_str(&self.path)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: Vec<&str> = self.options.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "StoreUrl({self}, options {options:?})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> StoreUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_keeps_every_ordinary_character() {
        let url = parse("sled:./my data#1&2/100%25/%3F?durability=power");
        assert_eq!(url.path(), "./my data#1&2/100%/?");
        assert_eq!(url.hosts(), None);
        assert_eq!(parse("sled:/abs/path").path(), "/abs/path");
        assert_eq!(parse("memory:").path(), "");
    }

    #[test]
    fn a_server_has_hosts_and_user_info_that_no_text_shows() {
        let url = parse("redis+cluster://me:p%40ss:w@h1:1,h2:2/0?password_file=/x");
        assert_eq!((url.user(), url.password()), (Some("me"), Some("p@ss:w")));
        assert_eq!((url.hosts(), url.path()), (Some("h1:1,h2:2"), "0"));
        for text in [url.to_string(), format!("{url:?}")] {
            assert!(!text.contains("p@ss") && !text.contains("me:") && !text.contains("/x"), "{text}");
        }
        assert_eq!(parse("redis://:secret@h").user(), None);
    }

    #[test]
    fn refuses_what_is_broken_without_repeating_it() {
        for text in [
            "",
            "data",
            ":x",
            "1a:x",
            "a b:x",
            "sled:%",
            "sled:%4",
            "sled:%zz",
            "sled:%ff",
            "sled:x?a",
            "redis://u:%zz@h",
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{text}");
            assert!(!error.trace().contains("zz"), "{error:?}");
        }
    }

    #[test]
    fn an_unknown_option_names_the_nearest_known_one() {
        let mut options = parse("sled:x?durabilty=power").options().unwrap();
        assert_eq!(options.take("durability"), None);
        assert_eq!(options.take("io"), None);
        let text = options.finish().unwrap_err().to_string();
        assert!(text.contains("durabilty; did you mean durability?"), "{text}");
        assert!(parse("sled:x?io=a&io=b").options().is_err());
    }

    #[test]
    fn typed_options_say_what_they_take() {
        let mut options = parse("sled:x?n=7&b=true&w=up&bad=70&worse=x").options().unwrap();
        assert_eq!(options.take_number("n", 1, 9).unwrap(), Some(7));
        assert_eq!(options.take_bool("b").unwrap(), Some(true));
        assert_eq!(options.take_word("w", &[("up", 1), ("down", 2)]).unwrap(), Some(1));
        assert!(options.take_number("bad", 1, 9).unwrap_err().to_string().contains("from 1 to 9"));
        assert!(options.take_word("worse", &[("up", 1)]).unwrap_err().to_string().contains("one of up"));
        options.finish().unwrap();
    }
}
