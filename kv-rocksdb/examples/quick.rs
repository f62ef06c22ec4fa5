#![allow(missing_docs, clippy::unwrap_used)]
use rocksdb::*;
use std::hint::black_box;
use std::time::Instant;
fn opts() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(256 << 20));
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&table);
    options
}
const N: usize = 100_000;
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "/tmp".into());
    let f = tempfile::tempdir_in(dir).unwrap();
    let keys: Vec<String> = (0..N).map(|n| format!("user{:012}", n)).collect();
    let value = bytes::Bytes::from(vec![7u8; 100]);
    let raw = DB::open(&opts(), f.path().join("raw")).unwrap();
    let store =
        kv_core::Store::new(kv_rocksdb::Provider::open(kv_rocksdb::Config::new(f.path().join("kv"))).await.unwrap());
    let b = store.open_bucket("b").await.unwrap();
    let mut order: Vec<usize> = (0..N).collect();
    let mut s = 12345u64;
    for i in (1..N).rev() {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        order.swap(i, (s % (i as u64 + 1)) as usize);
    }
    let put_raw = || {
        let t = Instant::now();
        for &i in &order {
            raw.put_opt(&keys[i], &value, &WriteOptions::default()).unwrap();
        }
        t.elapsed().as_nanos() as f64 / N as f64
    };
    let mut res = Vec::new();
    for _ in 0..5 {
        let a = put_raw();
        let t = Instant::now();
        for &i in &order {
            b.set(&keys[i], value.clone()).await.unwrap();
        }
        let c = t.elapsed().as_nanos() as f64 / N as f64;
        res.push((c / a, a, c));
    }
    res.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("put raw {:.0} kv {:.0} ratio {:.3}", res[2].1, res[2].2, res[2].0);
    for flushed in [false, true] {
        if flushed {
            raw.flush().unwrap();
            raw.compact_range::<&[u8], &[u8]>(None, None);
            store.close().await.unwrap();
        }
        let store2;
        let store3;
        let b = if flushed {
            store2 = kv_core::Store::new(
                kv_rocksdb::Provider::open(kv_rocksdb::Config::new(f.path().join("kv"))).await.unwrap(),
            );
            store3 = store2.open_bucket("b").await.unwrap();
            &store3
        } else {
            &b
        };
        for k in &keys {
            raw.get(k).unwrap();
            b.get(k).await.unwrap();
        }
        let mut res = Vec::new();
        let mut many = Vec::new();
        for _ in 0..9 {
            let t = Instant::now();
            for &i in &order {
                black_box(raw.get(&keys[i]).unwrap().unwrap());
            }
            let a = t.elapsed().as_nanos() as f64 / N as f64;
            let t = Instant::now();
            for &i in &order {
                black_box(b.get(&keys[i]).await.unwrap().unwrap());
            }
            let c = t.elapsed().as_nanos() as f64 / N as f64;
            res.push((c / a, a, c));
            let groups: Vec<Vec<&str>> = order.chunks(100).map(|c| c.iter().map(|&i| &*keys[i]).collect()).collect();
            let t = Instant::now();
            for g in &groups {
                let v: std::result::Result<Vec<_>, _> = g.iter().map(|k| raw.get(k)).collect();
                black_box(v.unwrap());
            }
            let a = t.elapsed().as_nanos() as f64 / N as f64;
            let t = Instant::now();
            for g in &groups {
                black_box(b.get_many(g).await.unwrap());
            }
            let c = t.elapsed().as_nanos() as f64 / N as f64;
            many.push((a / c, a, c));
        }
        res.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!("flushed {flushed} get raw {:.0} kv {:.0} ratio {:.3}", res[4].1, res[4].2, res[4].0);
        many.sort_by(|a, b| a.0.total_cmp(&b.0));
        println!(
            "flushed {flushed} get_many(100) raw {:.0} kv {:.0} times faster {:.3}",
            many[4].1, many[4].2, many[4].0
        );
        if flushed {
            println!("{:?}", b.exists("x").await);
        }
    }
}
