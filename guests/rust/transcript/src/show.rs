/// The most bytes of a value that a line shows as they are.
const SHOWN_BYTES: usize = 64;

/// How a line tells what a call gave.
pub trait Show {
    /// In one line.
    fn show(&self) -> String;
}

impl Show for () {
    fn show(&self) -> String {
        "ok".to_owned()
    }
}

/// A value: as text where it is short, otherwise by its length and a checksum.
impl Show for Vec<u8> {
    fn show(&self) -> String {
        match std::str::from_utf8(self) {
            Ok(text) if self.len() <= SHOWN_BYTES => format!("\"{text}\""),
            _ => format!("{} bytes, sum {:08x}", self.len(), checksum(self)),
        }
    }
}

impl<T: Show> Show for &T {
    fn show(&self) -> String {
        (*self).show()
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> String {
        let shown: Vec<String> = self.iter().map(Show::show).collect();
        format!("[{}]", shown.join(", "))
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Show::show)
    }
}

impl<T: Show, E: Show> Show for Result<T, E> {
    fn show(&self) -> String {
        match self {
            Ok(value) => value.show(),
            Err(error) => error.show(),
        }
    }
}

impl<A: Show, B: Show> Show for (A, B) {
    fn show(&self) -> String {
        format!("{}: {}", self.0.show(), self.1.show())
    }
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

plain!(bool, u32, u64, i64, usize, String);

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
