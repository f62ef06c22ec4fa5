use wasmtime::ResourceLimiter;

/// Elements of an instance's tables together: far more than compilers make.
const TABLE_ELEMENTS: usize = 1 << 20;

/// Counts what an instance's memories and tables take.
pub(crate) struct Memory {
    bytes: usize,
    most: usize,
    elements: usize,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: 0, most, elements: 0 }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        // Refused, not trapped: programs know what to do when memory can't grow.
        let is_within = bytes <= self.most;
        if is_within {
            self.bytes = bytes;
        }
        Ok(is_within)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add(desired.saturating_sub(current));
        let is_within = elements <= TABLE_ELEMENTS;
        if is_within {
            self.elements = elements;
        }
        Ok(is_within)
    }
}
