// Gradients by hand of the control-flow programs: a forward loop that keeps what the way back needs, then the way back.
// What is kept goes to memory that stays between calls.
#include "common.h"

template <int N> static void doubling(const double* R a, double* R value, double* R g) {
    double b[N];
    for (int i = 0; i < N; i++) b[i] = a[i] * 2;
    int times = 1;
    for (;; times++) {
        double squares = 0;
        for (int i = 0; i < N; i++) squares += b[i] * b[i];
        if (!(std::sqrt(squares) < 1000)) break;
        for (int i = 0; i < N; i++) b[i] *= 2;
    }
    double sum = 0, back = 1;
    for (int i = 0; i < N; i++) sum += b[i];
    if (!(sum > 0)) sum *= 100, back = 100;
    *value = sum;
    for (; times > 0; times--) back *= 2;
    for (int i = 0; i < N; i++) g[i] = back;
}
extern "C" void chapter_f64(void** in, void** out, const i64* n) {
    (n[0] == 4 ? doubling<4> : doubling<1>)(array<double>(in, 0), array<double>(out, 0), array<double>(out, 1));
}

extern "C" void newton_f64(void** in, void** out, const i64*) {
    static std::vector<double> kept(64);
    const double a = *array<double>(in, 0);
    double x = 1;
    size_t n = 0;
    while (std::abs(x * x - a) > 1e-12 * a) {
        if (n == kept.size()) kept.resize(2 * n);
        kept[n++] = x;
        x = 0.5 * (x + a / x);
    }
    *array<double>(out, 0) = x;
    double gx = 1, ga = 0;
    while (n > 0) {
        const double y = kept[--n], half = 0.5 * gx;
        ga += half / y;
        gx = half - half * a / (y * y);
    }
    *array<double>(out, 1) = ga;
}

// x' = a x - b x y, y' = d x y - c y: the two states of each step are kept, the stages are computed again.
extern "C" void runge_kutta_f64(void** in, void** out, const i64* size) {
    const double* p = array<double>(in, 0);
    const double a = p[0], b = p[1], c = p[2], d = p[3], h = 0.01;
    const i64 steps = size[0];
    SCRATCH(double, kept, 2 * steps);
    double x = p[4], y = p[5];
    for (i64 t = 0; t < steps; t++) {
        kept[2 * t] = x;
        kept[2 * t + 1] = y;
        double k1 = a * x - b * x * y, l1 = d * x * y - c * y;
        double x2 = x + 0.5 * h * k1, y2 = y + 0.5 * h * l1;
        double k2 = a * x2 - b * x2 * y2, l2 = d * x2 * y2 - c * y2;
        double x3 = x + 0.5 * h * k2, y3 = y + 0.5 * h * l2;
        double k3 = a * x3 - b * x3 * y3, l3 = d * x3 * y3 - c * y3;
        double x4 = x + h * k3, y4 = y + h * l3;
        double k4 = a * x4 - b * x4 * y4, l4 = d * x4 * y4 - c * y4;
        x += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
        y += h / 6 * (l1 + 2 * l2 + 2 * l3 + l4);
    }
    *array<double>(out, 0) = x + y;
    double gx = 1, gy = 1, ga = 0, gb = 0, gc = 0, gd = 0;
    for (i64 t = steps - 1; t >= 0; t--) {
        x = kept[2 * t];
        y = kept[2 * t + 1];
        double k1 = a * x - b * x * y, l1 = d * x * y - c * y;
        double x2 = x + 0.5 * h * k1, y2 = y + 0.5 * h * l1;
        double k2 = a * x2 - b * x2 * y2, l2 = d * x2 * y2 - c * y2;
        double x3 = x + 0.5 * h * k2, y3 = y + 0.5 * h * l2;
        double k3 = a * x3 - b * x3 * y3, l3 = d * x3 * y3 - c * y3;
        double x4 = x + h * k3, y4 = y + h * l3;
        double nx = gx, ny = gy;
        // one stage: cotangents gk, gl of its slopes at (u, v); returns those of u, v
        auto stage = [&](double gk, double gl, double u, double v, double& gu, double& gv) {
            ga += gk * u;
            gb -= gk * u * v;
            gd += gl * u * v;
            gc -= gl * v;
            gu = gk * (a - b * v) + gl * d * v;
            gv = -gk * b * u + gl * (d * u - c);
        };
        double gk = h / 6 * gx, gl = h / 6 * gy, gu, gv;
        stage(gk, gl, x4, y4, gu, gv);
        nx += gu;
        ny += gv;
        stage(h / 3 * gx + h * gu, h / 3 * gy + h * gv, x3, y3, gu, gv);
        nx += gu;
        ny += gv;
        stage(h / 3 * gx + 0.5 * h * gu, h / 3 * gy + 0.5 * h * gv, x2, y2, gu, gv);
        nx += gu;
        ny += gv;
        stage(gk + 0.5 * h * gu, gl + 0.5 * h * gv, x, y, gu, gv);
        gx = nx + gu;
        gy = ny + gv;
    }
    double* g = array<double>(out, 1);
    g[0] = ga, g[1] = gb, g[2] = gc, g[3] = gd, g[4] = gx, g[5] = gy;
}

// The products with the inputs are one product before the loop; those for the gradients of the matrices one after it.
extern "C" void rnn_f64(void** in, void** out, const i64* size) {
    const double *R w = array<double>(in, 0), *R u = array<double>(in, 1), *R b = array<double>(in, 2), *R xs = array<double>(in, 3);
    const i64 T = size[0], n = size[1], m = size[2];
    SCRATCH(double, h, (T + 1) * n);
    SCRATCH(double, gz, T * n);
    SCRATCH(double, wt, n * n);
    SCRATCH(double, gh, n);
    for (i64 i = 0; i < n; i++)
        for (i64 j = 0; j < n; j++) wt[j * n + i] = w[i * n + j];
    std::fill(h, h + n, 0.0);
    for (i64 t = 0; t < T; t++) std::memcpy(gz + t * n, b, n * sizeof(double));
    matmul(false, true, T, n, m, xs, u, 1.0, gz);
    for (i64 t = 0; t < T; t++) {
        double *R z = gz + t * n, *R old = h + t * n, *R next = h + (t + 1) * n;
        for (i64 j = 0; j < n; j++)
#pragma omp simd
            for (i64 i = 0; i < n; i++) z[i] += wt[j * n + i] * old[j];
#pragma omp simd
        for (i64 i = 0; i < n; i++) next[i] = std::tanh(z[i]);
    }
    double value = 0;
    for (i64 i = 0; i < n; i++) {
        value += h[T * n + i] * h[T * n + i];
        gh[i] = 2 * h[T * n + i];
    }
    for (i64 t = T - 1; t >= 0; t--) {
        double *R z = gz + t * n, *R next = h + (t + 1) * n;
        for (i64 i = 0; i < n; i++) z[i] = gh[i] * (1 - next[i] * next[i]), gh[i] = 0;
        for (i64 i = 0; i < n; i++)
#pragma omp simd
            for (i64 j = 0; j < n; j++) gh[j] += w[i * n + j] * z[i];
    }
    double *gw = array<double>(out, 1), *gu = array<double>(out, 2), *gb = array<double>(out, 3);
    matmul(true, false, n, n, T, gz, h, 0.0, gw);
    matmul(true, false, n, m, T, gz, xs, 0.0, gu);
    std::fill(gb, gb + n, 0.0);
    for (i64 t = 0; t < T; t++)
        for (i64 i = 0; i < n; i++) gb[i] += gz[t * n + i];
    *array<double>(out, 0) = value;
}

extern "C" void lstm_f64(void** in, void** out, const i64* size) {
    const double *R w = array<double>(in, 0), *R u = array<double>(in, 1), *R b = array<double>(in, 2), *R xs = array<double>(in, 3);
    const i64 T = size[0], n = size[1], m = size[2], n4 = 4 * n;
    SCRATCH(double, h, (T + 1) * n);
    SCRATCH(double, c, (T + 1) * n);
    SCRATCH(double, tc, T * n);
    SCRATCH(double, zs, T * n4);  // the gates; on the way back the cotangents of what goes into them
    SCRATCH(double, wt, n * n4);
    SCRATCH(double, gh, n);
    SCRATCH(double, gc, n);
    for (i64 i = 0; i < n4; i++)
        for (i64 j = 0; j < n; j++) wt[j * n4 + i] = w[i * n + j];
    std::fill(h, h + n, 0.0);
    std::fill(c, c + n, 0.0);
    for (i64 t = 0; t < T; t++) std::memcpy(zs + t * n4, b, n4 * sizeof(double));
    matmul(false, true, T, n4, m, xs, u, 1.0, zs);
    for (i64 t = 0; t < T; t++) {
        double *R z = zs + t * n4, *R old = h + t * n, *R next = h + (t + 1) * n;
        for (i64 j = 0; j < n; j++)
#pragma omp simd
            for (i64 i = 0; i < n4; i++) z[i] += wt[j * n4 + i] * old[j];
#pragma omp simd
        for (i64 i = 0; i < 3 * n; i++) z[i] = 1 / (1 + std::exp(-z[i]));
#pragma omp simd
        for (i64 i = 3 * n; i < n4; i++) z[i] = std::tanh(z[i]);
#pragma omp simd
        for (i64 i = 0; i < n; i++) {
            double cell = z[n + i] * c[t * n + i] + z[i] * z[3 * n + i], th = std::tanh(cell);
            c[(t + 1) * n + i] = cell;
            tc[t * n + i] = th;
            next[i] = z[2 * n + i] * th;
        }
    }
    double value = 0;
    for (i64 i = 0; i < n; i++) {
        value += h[T * n + i] * h[T * n + i];
        gh[i] = 2 * h[T * n + i];
        gc[i] = 0;
    }
    for (i64 t = T - 1; t >= 0; t--) {
        double* R z = zs + t * n4;
#pragma omp simd
        for (i64 i = 0; i < n; i++) {
            double gi = z[i], gf = z[n + i], go = z[2 * n + i], gg = z[3 * n + i], th = tc[t * n + i];
            double cell = gc[i] + gh[i] * go * (1 - th * th);
            z[2 * n + i] = gh[i] * th * go * (1 - go);
            z[i] = cell * gg * gi * (1 - gi);
            z[n + i] = cell * c[t * n + i] * gf * (1 - gf);
            z[3 * n + i] = cell * gi * (1 - gg * gg);
            gc[i] = cell * gf;
            gh[i] = 0;
        }
        for (i64 i = 0; i < n4; i++)
#pragma omp simd
            for (i64 j = 0; j < n; j++) gh[j] += w[i * n + j] * z[i];
    }
    double *gw = array<double>(out, 1), *gu = array<double>(out, 2), *gb = array<double>(out, 3);
    matmul(true, false, n4, n, T, zs, h, 0.0, gw);
    matmul(true, false, n4, m, T, zs, xs, 0.0, gu);
    std::fill(gb, gb + n4, 0.0);
    for (i64 t = 0; t < T; t++)
        for (i64 i = 0; i < n4; i++) gb[i] += zs[t * n4 + i];
    *array<double>(out, 0) = value;
}

extern "C" void kalman_f64(void** in, void** out, const i64* size) {
    const double *theta = array<double>(in, 0), *ys = array<double>(in, 1);
    const i64 T = size[0];
    const double dt = 0.1, c0 = dt * dt * dt / 3, c1 = dt * dt / 2, c2 = dt, q = std::exp(theta[0]), r = std::exp(theta[1]);
    SCRATCH(double, kept, 4 * T);
    double m0 = 0, m1 = 0, p00 = 1, p01 = 0, p11 = 1, value = 0;
    for (i64 t = 0; t < T; t++) {
        double a00 = p00 + 2 * dt * p01 + dt * dt * p11 + q * c0, a01 = p01 + dt * p11 + q * c1, a11 = p11 + q * c2;
        m0 += dt * m1;
        double s = a00 + r, e = ys[t] - m0, k0 = a00 / s, k1 = a01 / s;
        value -= 0.5 * (std::log(6.283185307179586 * s) + e * e / s);
        m0 += k0 * e;
        m1 += k1 * e;
        p00 = a00 - k0 * a00;
        p01 = a01 - k0 * a01;
        p11 = a11 - k1 * a01;
        double* k = kept + 4 * t;
        k[0] = a00, k[1] = a01, k[2] = s, k[3] = e;
    }
    double gm0 = 0, gm1 = 0, g00 = 0, g01 = 0, g11 = 0, gq = 0, gr = 0;
    for (i64 t = T - 1; t >= 0; t--) {
        const double* k = kept + 4 * t;
        double a00 = k[0], a01 = k[1], s = k[2], e = k[3], k0 = a00 / s, k1 = a01 / s;
        double h00 = g00 * (1 - k0), h01 = g01 * (1 - k0) - g11 * k1, h11 = g11;
        double gk0 = gm0 * e - g00 * a00 - g01 * a01, gk1 = gm1 * e - g11 * a01;
        double ge = gm0 * k0 + gm1 * k1 - e / s;
        double gs = -0.5 / s + 0.5 * e * e / (s * s) - (gk0 * k0 + gk1 * k1) / s;
        h00 += gk0 / s + gs;
        h01 += gk1 / s;
        gr += gs;
        gm0 -= ge;
        gm1 += dt * gm0;
        g00 = h00;
        g01 = 2 * dt * h00 + h01;
        g11 = dt * dt * h00 + dt * h01 + h11;
        gq += c0 * h00 + c1 * h01 + c2 * h11;
    }
    *array<double>(out, 0) = value;
    array<double>(out, 1)[0] = gq * q;
    array<double>(out, 1)[1] = gr * r;
}

// The weights of the three ways into a cell are kept: they are the derivatives.
extern "C" void edit_distance_f64(void** in, void** out, const i64* size) {
    const double* R cost = array<double>(in, 0);
    double* R g = array<double>(out, 1);
    const i64 n = size[0], wide = n + 1;
    SCRATCH(double, d, wide * wide);
    SCRATCH(double, ways, 3 * n * n);
    SCRATCH(double, back, wide * wide);
    for (i64 i = 0; i <= n; i++) d[i * wide] = d[i] = double(i);
    for (i64 i = 1; i <= n; i++)
        for (i64 j = 1; j <= n; j++) {
            const i64 here = i * wide + j;
            double a = std::exp(-d[here - wide] - 1), b = std::exp(-d[here - 1] - 1);
            double c = std::exp(-d[here - wide - 1] - cost[(i - 1) * n + j - 1]), sum = a + b + c, scale = 1 / sum;
            double* w = ways + 3 * ((i - 1) * n + j - 1);
            w[0] = a * scale, w[1] = b * scale, w[2] = c * scale;
            d[here] = -std::log(sum);
        }
    *array<double>(out, 0) = d[n * wide + n];
    std::fill(back, back + wide * wide, 0.0);
    back[n * wide + n] = 1;
    for (i64 i = n; i > 0; i--)
        for (i64 j = n; j > 0; j--) {
            const i64 here = i * wide + j;
            const double* w = ways + 3 * ((i - 1) * n + j - 1);
            const double v = back[here];
            back[here - wide] += v * w[0];
            back[here - 1] += v * w[1];
            back[here - wide - 1] += v * w[2];
            g[(i - 1) * n + j - 1] = v * w[2];
        }
}

extern "C" void escape_f64(void** in, void** out, const i64*) {
    static std::vector<double> kept(2048);
    const double* p = array<double>(in, 0);
    const double cr = p[0], ci = p[1];
    double x = 0, y = 0;
    i64 n = 0;
    while (x * x + y * y < 1e6 && n < 1000) {
        kept[2 * n] = x;
        kept[2 * n + 1] = y;
        double u = x * x - y * y + cr;
        y = 2 * x * y + ci;
        x = u;
        n++;
    }
    const double r2 = x * x + y * y, l = 0.5 * std::log(r2);
    *array<double>(out, 0) = n + 1 - std::log2(l);
    const double scale = -1 / (l * 0.6931471805599453 * r2);
    double gx = scale * x, gy = scale * y, gr = 0, gi = 0;
    while (n-- > 0) {
        gr += gx;
        gi += gy;
        x = kept[2 * n];
        y = kept[2 * n + 1];
        double u = 2 * (gx * x + gy * y);
        gy = 2 * (gy * x - gx * y);
        gx = u;
    }
    array<double>(out, 1)[0] = gr;
    array<double>(out, 1)[1] = gi;
}

// The ends of the interval are constants of the derivative: only the last step is differentiated.
extern "C" void bisection_f64(void** in, void** out, const i64*) {
    const double a = array<double>(in, 0)[0], b = array<double>(in, 0)[1];
    double low = 0, high = 10;
    while (high - low > 1e-9) {
        double m = 0.5 * (low + high);
        if (m * m * m + a * m - b > 0)
            high = m;
        else
            low = m;
    }
    const double x = 0.5 * (low + high), value = x * x * x + a * x - b, slope = 3 * x * x + a;
    *array<double>(out, 0) = x - value / slope;
    array<double>(out, 1)[0] = -x / slope + value / (slope * slope);
    array<double>(out, 1)[1] = 1 / slope;
}

extern "C" void adaptive_f64(void** in, void** out, const i64*) {
    struct Step { double x, v, h; bool kept, last; };
    static std::vector<Step> steps(256);
    const double *p = array<double>(in, 0), mu = p[0], end = 10, tolerance = 1e-4;
    double x = p[1], v = p[2], t = 0, h = 0.01;
    size_t n = 0;
    while (t < end) {
        bool last = t + h > end;
        if (last) h = end - t;
        double k1 = mu * (1 - x * x) * v - x, xe = x + h * v, ve = v + h * k1, k2 = mu * (1 - xe * xe) * ve - xe;
        double ex = 0.5 * h * (ve - v), ev = 0.5 * h * (k2 - k1), error = std::sqrt(ex * ex + ev * ev) / tolerance;
        if (n == steps.size()) steps.resize(2 * n);
        steps[n++] = {x, v, h, error < 1, last};
        if (error < 1) {
            t += h;
            x += 0.5 * h * (v + ve);
            v += 0.5 * h * (k1 + k2);
        }
        h *= std::min(2.0, std::max(0.2, 0.9 / std::sqrt(error)));
    }
    *array<double>(out, 0) = x * x + v * v;
    double gx = 2 * x, gv = 2 * v, gt = 0, gh = 0, gmu = 0;
    while (n-- > 0) {
        const Step s = steps[n];
        x = s.x, v = s.v, h = s.h;
        double q = 1 - x * x, k1 = mu * q * v - x, xe = x + h * v, ve = v + h * k1, qe = 1 - xe * xe, k2 = mu * qe * ve - xe;
        double dx = ve - v, dv = k2 - k1, ex = 0.5 * h * dx, ev = 0.5 * h * dv, norm = std::sqrt(ex * ex + ev * ev);
        double error = norm / tolerance, factor = 0.9 / std::sqrt(error);
        double gk1 = 0, gk2 = 0, gve = 0, gxe = 0, nx = gx, nv = gv, ngh = 0;
        if (factor > 0.2 && factor < 2) {  // h_next = h * factor
            ngh += gh * factor;
            double gerror = gh * h * -0.5 * factor / error, gn = gerror / (tolerance * norm);
            double gex = gn * ex, gev = gn * ev;
            ngh += 0.5 * (gex * dx + gev * dv);
            gve += 0.5 * h * gex;
            nv -= 0.5 * h * gex;
            gk2 += 0.5 * h * gev;
            gk1 -= 0.5 * h * gev;
        } else
            ngh += gh * (factor <= 0.2 ? 0.2 : 2.0);
        if (s.kept) {
            ngh += gt + 0.5 * (gx * (v + ve) + gv * (k1 + k2));
            nv += 0.5 * h * gx;
            gve += 0.5 * h * gx;
            gk1 += 0.5 * h * gv;
            gk2 += 0.5 * h * gv;
        }
        gmu += gk2 * qe * ve;
        gve += gk2 * mu * qe;
        gxe += gk2 * (-2 * mu * xe * ve - 1);
        nv += gve;
        ngh += gve * k1;
        gk1 += gve * h;
        nx += gxe;
        ngh += gxe * v;
        nv += gxe * h;
        gmu += gk1 * q * v;
        nx += gk1 * (-2 * mu * x * v - 1);
        nv += gk1 * mu * q;
        if (s.last) {  // h = end - t
            gt -= ngh;
            ngh = 0;
        }
        gx = nx, gv = nv, gh = ngh;
    }
    double* g = array<double>(out, 1);
    g[0] = gmu, g[1] = gx, g[2] = gv;
}

// Each pair once, forward and back.
extern "C" void nbody_f64(void** in, void** out, const i64* size) {
    const i64 n = size[0], steps = size[1];
    const double h = 0.01, *m = array<double>(in, 2);
    SCRATCH(double, kept, (steps + 1) * 3 * n);
    SCRATCH(double, v, 3 * n);
    SCRATCH(double, gv, 3 * n);
    std::memcpy(kept, array<double>(in, 0), 3 * n * sizeof(double));
    std::memcpy(v, array<double>(in, 1), 3 * n * sizeof(double));
    for (i64 t = 0; t < steps; t++) {
        const double* R x = kept + t * 3 * n;
        double* R next = kept + (t + 1) * 3 * n;
        for (i64 i = 0; i < n; i++)
            for (i64 j = i + 1; j < n; j++) {
                double a = x[3 * j] - x[3 * i], b = x[3 * j + 1] - x[3 * i + 1], c = x[3 * j + 2] - x[3 * i + 2];
                double r2 = a * a + b * b + c * c + 0.01, w = h / (r2 * std::sqrt(r2)), mi = m[i] * w, mj = m[j] * w;
                v[3 * i] += mj * a, v[3 * i + 1] += mj * b, v[3 * i + 2] += mj * c;
                v[3 * j] -= mi * a, v[3 * j + 1] -= mi * b, v[3 * j + 2] -= mi * c;
            }
        for (i64 i = 0; i < 3 * n; i++) next[i] = x[i] + h * v[i];
    }
    double *R gx = array<double>(out, 1), *R gm = array<double>(out, 3);
    const double* R end = kept + steps * 3 * n;
    double value = 0;
    for (i64 i = 0; i < 3 * n; i++) value += end[i] * end[i], gx[i] = 2 * end[i], gv[i] = 0;
    for (i64 i = 0; i < n; i++) gm[i] = 0;
    for (i64 t = steps - 1; t >= 0; t--) {
        const double* R x = kept + t * 3 * n;
        for (i64 i = 0; i < 3 * n; i++) gv[i] += h * gx[i];
        for (i64 i = 0; i < n; i++)
            for (i64 j = i + 1; j < n; j++) {
                double a = x[3 * j] - x[3 * i], b = x[3 * j + 1] - x[3 * i + 1], c = x[3 * j + 2] - x[3 * i + 2];
                double r2 = a * a + b * b + c * c + 0.01, inverse = 1 / r2, w = h * inverse / std::sqrt(r2);
                double ui = gv[3 * i] * a + gv[3 * i + 1] * b + gv[3 * i + 2] * c;
                double uj = gv[3 * j] * a + gv[3 * j + 1] * b + gv[3 * j + 2] * c;
                gm[j] += w * ui;
                gm[i] -= w * uj;
                double q = 3 * w * inverse * (m[j] * ui - m[i] * uj), mi = m[i] * w, mj = m[j] * w;
                double p0 = mj * gv[3 * i] - mi * gv[3 * j] - q * a;
                double p1 = mj * gv[3 * i + 1] - mi * gv[3 * j + 1] - q * b;
                double p2 = mj * gv[3 * i + 2] - mi * gv[3 * j + 2] - q * c;
                gx[3 * j] += p0, gx[3 * j + 1] += p1, gx[3 * j + 2] += p2;
                gx[3 * i] -= p0, gx[3 * i + 1] -= p1, gx[3 * i + 2] -= p2;
            }
    }
    std::memcpy(array<double>(out, 2), gv, 3 * n * sizeof(double));
    *array<double>(out, 0) = value;
}

// Every entry of L and U is final once it has been used: the factors are all that the way back needs.
extern "C" void lu_f64(void** in, void** out, const i64* size) {
    const i64 n = size[0];
    SCRATCH(double, a, n * n);
    double* R g = array<double>(out, 1);
    std::memcpy(a, array<double>(in, 0), n * n * sizeof(double));
    double total = 0;
    for (i64 k = 0; k < n; k++) {
        total += std::log(a[k * n + k]);
        const double inverse = 1 / a[k * n + k];
        for (i64 i = k + 1; i < n; i++) {
            const double l = a[i * n + k] *= inverse;
#pragma omp simd
            for (i64 j = k + 1; j < n; j++) a[i * n + j] -= l * a[k * n + j];
        }
    }
    *array<double>(out, 0) = total;
    std::fill(g, g + n * n, 0.0);
    for (i64 k = n - 1; k >= 0; k--) {
        const double inverse = 1 / a[k * n + k];
        double pivot = inverse;
        for (i64 i = k + 1; i < n; i++) {
            const double l = a[i * n + k];
            double gl = g[i * n + k];
#pragma omp simd reduction(+ : gl)
            for (i64 j = k + 1; j < n; j++) {
                gl -= g[i * n + j] * a[k * n + j];
                g[k * n + j] -= g[i * n + j] * l;
            }
            g[i * n + k] = gl * inverse;
            pivot -= gl * inverse * l;
        }
        g[k * n + k] += pivot;
    }
}

extern "C" void cholesky_f64(void** in, void** out, const i64* size) {
    const i64 n = size[0];
    const double* R a = array<double>(in, 0);
    SCRATCH(double, low, n * n);
    SCRATCH(double, back, n * n);
    double *R g = array<double>(out, 1), total = 0;
    for (i64 i = 0; i < n; i++)
        for (i64 j = 0; j <= i; j++) {
            double s = a[i * n + j];
#pragma omp simd reduction(- : s)
            for (i64 k = 0; k < j; k++) s -= low[i * n + k] * low[j * n + k];
            if (i == j) {
                low[i * n + i] = std::sqrt(s);
                total += std::log(low[i * n + i]);
            } else
                low[i * n + j] = s / low[j * n + j];
        }
    *array<double>(out, 0) = total;
    std::fill(g, g + n * n, 0.0);
    std::fill(back, back + n * n, 0.0);
    for (i64 i = n - 1; i >= 0; i--)
        for (i64 j = i; j >= 0; j--) {
            const double d = low[j * n + j];
            double gs;
            if (i == j)
                gs = (back[i * n + i] + 1 / d) * 0.5 / d;
            else {
                gs = back[i * n + j] / d;
                back[j * n + j] -= gs * low[i * n + j];
            }
            g[i * n + j] = gs;
            if (i == j)
#pragma omp simd
                for (i64 k = 0; k < j; k++) back[i * n + k] -= 2 * gs * low[i * n + k];
            else
#pragma omp simd
                for (i64 k = 0; k < j; k++) {
                    back[i * n + k] -= gs * low[j * n + k];
                    back[j * n + k] -= gs * low[i * n + k];
                }
        }
}

// The value is a weighted sum of values of the integrand: each carries its two derivatives along.
struct Triple { double f, a, b; };
static inline Triple operator+(Triple x, Triple y) { return {x.f + y.f, x.a + y.a, x.b + y.b}; }
static inline Triple operator-(Triple x, Triple y) { return {x.f - y.f, x.a - y.a, x.b - y.b}; }
static inline Triple operator*(double c, Triple x) { return {c * x.f, c * x.a, c * x.b}; }
static inline Triple integrand(double a, double b, double x) {
    double e = std::exp(-a * x), s = std::sin(b * x), c = std::cos(b * x);
    return {e * s, -x * e * s, x * e * c};
}
static Triple simpson(double a, double b, double low, double high, Triple fl, Triple fm, Triple fh) {
    double middle = 0.5 * (low + high);
    Triple left = integrand(a, b, 0.5 * (low + middle)), right = integrand(a, b, 0.5 * (middle + high));
    Triple whole = (high - low) / 6 * (fl + 4 * fm + fh), one = (middle - low) / 6 * (fl + 4 * left + fm);
    Triple two = (high - middle) / 6 * (fm + 4 * right + fh), error = one + two - whole;
    if (std::abs(error.f) < 1e-9) return one + two + 1.0 / 15 * error;
    return simpson(a, b, low, middle, fl, left, fm) + simpson(a, b, middle, high, fm, right, fh);
}
extern "C" void tree_f64(void** in, void** out, const i64*) {
    const double a = array<double>(in, 0)[0], b = array<double>(in, 0)[1];
    Triple r = simpson(a, b, 0, 4, integrand(a, b, 0), integrand(a, b, 2), integrand(a, b, 4));
    *array<double>(out, 0) = r.f;
    array<double>(out, 1)[0] = r.a;
    array<double>(out, 1)[1] = r.b;
}

// Only at an impact is anything not linear: there height and speed are kept.
extern "C" void bouncing_f64(void** in, void** out, const i64* size) {
    const double* p = array<double>(in, 0);
    const double g = p[0], restitution = p[1], h = 0.005;
    const i64 steps = size[0];
    struct Hit { i64 step; double y, v; };
    static std::vector<Hit> hits(64);
    size_t n = 0;
    double y = p[2], v = p[3];
    for (i64 t = 0; t < steps; t++) {
        v -= h * g;
        y += h * v;
        if (y < 0) {
            if (n == hits.size()) hits.resize(2 * n);
            hits[n++] = {t, y, v};
            double since = y / v;
            v = -restitution * v;
            y = v * since;
        }
    }
    *array<double>(out, 0) = y + 0.1 * v * v;
    double gy = 1, gv = 0.2 * v, gg = 0, gr = 0;
    for (i64 t = steps - 1; t >= 0; t--) {
        if (n && hits[n - 1].step == t) {
            const Hit k = hits[--n];
            double since = k.y / k.v, after = -restitution * k.v, ga = gv + gy * since, gs = gy * after;
            gr -= ga * k.v;
            gv = -restitution * ga - gs * since / k.v;
            gy = gs / k.v;
        }
        gv += h * gy;
        gg -= h * gv;
    }
    double* out_g = array<double>(out, 1);
    out_g[0] = gg, out_g[1] = gr, out_g[2] = gy, out_g[3] = gv;
}

// The weights of each step and the sigmoids are kept; a step back is a Hessian times a vector.
extern "C" void descent_f64(void** in, void** out, const i64* size) {
    const double *theta = array<double>(in, 0), *data = array<double>(in, 1), *labels = array<double>(in, 2);
    const double *other = array<double>(in, 3), *other_labels = array<double>(in, 4);
    const i64 n = size[0], d = size[1], steps = 100;
    const double rate = std::exp(theta[0]), decay = std::exp(theta[1]);
    SCRATCH(double, ws, (steps + 1) * d);
    SCRATCH(double, slopes, steps * d);
    SCRATCH(double, curve, steps * n);
    SCRATCH(double, z, n);
    SCRATCH(double, gw, d);
    SCRATCH(double, hv, d);
    std::fill(ws, ws + d, 0.0);
    for (i64 t = 0; t < steps; t++) {
        const double* R w = ws + t * d;
        double *R slope = slopes + t * d, *R c = curve + t * n;
        for (i64 i = 0; i < n; i++) {
            double sum = 0;
            for (i64 j = 0; j < d; j++) sum += data[i * d + j] * w[j];
            z[i] = sum;
        }
#pragma omp simd
        for (i64 i = 0; i < n; i++) {
            double s = 1 / (1 + std::exp(-z[i]));
            z[i] = (s - labels[i]) / n;
            c[i] = s * (1 - s) / n;
        }
        for (i64 j = 0; j < d; j++) slope[j] = 2 * decay * w[j];
        for (i64 i = 0; i < n; i++)
            for (i64 j = 0; j < d; j++) slope[j] += data[i * d + j] * z[i];
        for (i64 j = 0; j < d; j++) ws[(t + 1) * d + j] = w[j] - rate * slope[j];
    }
    const double* R w = ws + steps * d;
    double value = 0;
    std::fill(gw, gw + d, 0.0);
    for (i64 i = 0; i < n; i++) {
        double sum = 0;
        for (i64 j = 0; j < d; j++) sum += other[i * d + j] * w[j];
        double e = std::exp(-std::abs(sum));
        value += std::max(sum, 0.0) + std::log1p(e) - other_labels[i] * sum;
        double r = ((sum >= 0 ? 1 : e) / (1 + e) - other_labels[i]) / n;
        for (i64 j = 0; j < d; j++) gw[j] += r * other[i * d + j];
    }
    *array<double>(out, 0) = value / n;
    double by_rate = 0, by_decay = 0;
    for (i64 t = steps - 1; t >= 0; t--) {
        const double *R w = ws + t * d, *R slope = slopes + t * d, *R c = curve + t * n;
        for (i64 j = 0; j < d; j++) {
            by_rate -= gw[j] * slope[j];
            by_decay -= 2 * rate * gw[j] * w[j];
            hv[j] = 2 * decay * gw[j];
        }
        for (i64 i = 0; i < n; i++) {
            double sum = 0;
            for (i64 j = 0; j < d; j++) sum += data[i * d + j] * gw[j];
            sum *= c[i];
            for (i64 j = 0; j < d; j++) hv[j] += data[i * d + j] * sum;
        }
        for (i64 j = 0; j < d; j++) gw[j] -= rate * hv[j];
    }
    array<double>(out, 1)[0] = by_rate * rate;
    array<double>(out, 1)[1] = by_decay * decay;
}
