;; A matrix of int8 (rows, columns), each row with its scale, times a vector: see multiply.js.
;; All numbers are places in memory, but for the last two; `rows` is not 0.
(module
  (import "model" "memory" (memory 1))
  (func (export "multiply")
    (param $matrix i32) (param $scales i32) (param $vector i32) (param $product i32)
    (param $rows i32) (param $columns i32)
    (local $end i32) (local $row_end i32) (local $eights_end i32) (local $x i32)
    (local $eight v128) (local $low v128) (local $high v128) (local $sum f32)
    (local.set $end (i32.add (local.get $product) (i32.shl (local.get $rows) (i32.const 2))))
    (loop $next_row
      (local.set $x (local.get $vector))
      (local.set $row_end (i32.add (local.get $matrix) (local.get $columns)))
      (local.set $eights_end
        (i32.add (local.get $matrix) (i32.and (local.get $columns) (i32.const -8))))
      (local.set $low (v128.const f32x4 0 0 0 0))
      (local.set $high (v128.const f32x4 0 0 0 0))
      ;; Eight columns at once, in eight sums.
      (block $no_eight
        (loop $next_eight
          (br_if $no_eight (i32.eq (local.get $matrix) (local.get $eights_end)))
          (local.set $eight (v128.load8x8_s (local.get $matrix)))
          (local.set $low (f32x4.add (local.get $low) (f32x4.mul
            (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $eight)))
            (v128.load (local.get $x)))))
          (local.set $high (f32x4.add (local.get $high) (f32x4.mul
            (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $eight)))
            (v128.load offset=16 (local.get $x)))))
          (local.set $matrix (i32.add (local.get $matrix) (i32.const 8)))
          (local.set $x (i32.add (local.get $x) (i32.const 32)))
          (br $next_eight)))
      (local.set $low (f32x4.add (local.get $low) (local.get $high)))
      (local.set $sum (f32.add
        (f32.add (f32x4.extract_lane 0 (local.get $low)) (f32x4.extract_lane 1 (local.get $low)))
        (f32.add (f32x4.extract_lane 2 (local.get $low)) (f32x4.extract_lane 3 (local.get $low)))))
      ;; The columns that are left, fewer than eight.
      (block $no_column
        (loop $next_column
          (br_if $no_column (i32.eq (local.get $matrix) (local.get $row_end)))
          (local.set $sum (f32.add (local.get $sum) (f32.mul
            (f32.convert_i32_s (i32.load8_s (local.get $matrix)))
            (f32.load (local.get $x)))))
          (local.set $matrix (i32.add (local.get $matrix) (i32.const 1)))
          (local.set $x (i32.add (local.get $x) (i32.const 4)))
          (br $next_column)))
      (f32.store (local.get $product) (f32.mul (local.get $sum) (f32.load (local.get $scales))))
      (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
      (local.set $product (i32.add (local.get $product) (i32.const 4)))
      (br_if $next_row (i32.lt_u (local.get $product) (local.get $end))))))
