package num

// powers are the powers of ten that fit an int64.
var powers = func() (p [maxSmallScale + 1]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()

// align returns two small numbers as multiples of the same power of ten. It is
// not ok if one is wide or becomes too large.
func align(n, m Num) (a, b int64, scale uint8, ok bool) {
	if n.wide != nil || m.wide != nil {
		return 0, 0, 0, false
	}
	switch {
	case n.scale < m.scale:
		a, ok = multiply(n.small, powers[m.scale-n.scale])
		return a, m.small, m.scale, ok
	case n.scale > m.scale:
		b, ok = multiply(m.small, powers[n.scale-m.scale])
		return n.small, b, n.scale, ok
	}
	return n.small, m.small, n.scale, true
}

// multiply returns a × b and whether it fits.
func multiply(a, b int64) (int64, bool) {
	const half = 1 << 31
	if a >= -half && a < half && b >= -half && b < half {
		return a * b, true
	}
	if a == 0 || b == 0 {
		return 0, true
	}
	product := a * b
	if product/b != a || product == -product {
		return 0, false
	}
	return product, true
}
