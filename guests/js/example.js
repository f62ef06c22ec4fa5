// The example in JavaScript: gets and sets through `wasi:keyvalue/store`.

import { open } from "wasi:keyvalue/store@0.2.0-draft2";

export const api = {
  get(bucket, key) {
    return open(bucket).get(key);
  },

  set(bucket, key, value) {
    open(bucket).set(key, value);
  },
};
