# Proportions, rates, balance, logistic regression and splines.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages({
  library(splines)
  library(MatchIt)
  library(survey)
})

counts <- list(c(0, 10), c(1, 29), c(7, 20), c(56, 70), c(97, 227), c(29, 29))
for (pair in counts) {
  id <- paste0(pair[1], "_of_", pair[2])
  record(paste0("clopper_pearson.", id), binom.test(pair[1], pair[2])$conf.int, "stats::binom.test", "counts")
  record(paste0("clopper_pearson_90.", id), binom.test(pair[1], pair[2], conf.level = 0.9)$conf.int, "stats::binom.test", "counts")
  record(paste0("wilson.", id), suppressWarnings(prop.test(pair[1], pair[2], correct = FALSE))$conf.int, "stats::prop.test", "counts")
  record(paste0("garwood.", id), poisson.test(pair[1], pair[2] / 3)$conf.int, "stats::poisson.test", "counts")
}
for (v in list(c(5, 100, 10, 250), c(0, 30, 4, 40), c(12, 33.5, 7, 41.25))) {
  t <- poisson.test(v[c(1, 3)], v[c(2, 4)])
  record(paste0("rate_ratio.", v[1], "_", v[3]), c(t$estimate, t$conf.int), "stats::poisson.test", "counts")
}
# Koopman's interval: ratios at which prop.test, about the proportions likeliest under the ratio, is at its critical value
score <- function(log_ratio, events, total) {
  ratio <- exp(log_ratio)
  likelier <- function(p) sum(events) / p - ratio * (total - events)[1] / (1 - ratio * p) - (total - events)[2] / (1 - p)
  largest <- min(1, 1 / ratio)
  p <- if (likelier(largest * (1 - 1e-12)) >= 0) largest else uniroot(likelier, largest * c(1e-12, 1 - 1e-12), tol = 1e-17, maxiter = 1e4)$root
  expected <- c(ratio * p, p)
  if (any(expected >= 1)) return(sum(((events - total * expected)^2 / (total * expected * (1 - expected)))[expected < 1]))
  unname(suppressWarnings(prop.test(events, total, expected, correct = FALSE))$statistic)
}
for (v in list(c(18, 64, 9, 71), c(0, 30, 4, 40), c(4, 40, 0, 30), c(20, 40, 30, 30), c(335, 339, 306, 339), c(80, 339, 0, 339))) {
  events <- v[c(1, 3)]; total <- v[c(2, 4)]
  ratio <- (v[1] / v[2]) / (v[3] / v[4])
  middle <- log((v[1] + 0.5) / (v[2] + 0.5) * (v[4] + 0.5) / (v[3] + 0.5))
  edge <- function(far) exp(uniroot(function(l) score(l, events, total) - qchisq(0.95, 1), sort(c(middle, far)), tol = 1e-14, maxiter = 1e4)$root)
  limits <- c(if (v[1] > 0) edge(middle - 6) else 0, if (v[3] > 0) edge(middle + 6) else Inf)
  record(paste0("risk_ratio.", v[1], "_of_", v[2], "_", v[3], "_of_", v[4]), Filter(is.finite, c(ratio, limits)),
         "stats::prop.test, inverted", "counts")
}

# a proportion of clustered observations; no cluster sample counts for more than its observations (Korn and Graubard 1998)
record_clustered <- function(id, x, cluster, source, level = 0.95) {
  design <- svydesign(ids = ~cluster, weights = ~1, data = data.frame(x = x, cluster = cluster))
  p <- svyciprop(~x, design, method = "beta", level = level)
  n <- length(x)
  few <- (qt((1 - level) / 2, n - 1) / qt((1 - level) / 2, degf(design)))^2
  effective <- as.numeric(coef(p) * (1 - coef(p)) / vcov(p)) * few
  if (effective > n) stop(id, " is no case for svyciprop: it does not limit the effective number")
  record(id, c(coef(p), attr(p, "ci"), effective), "survey::svyciprop (beta)", source)
}
record_clustered("clustered.colon", colon$status, colon$id, "colon")
record_clustered("clustered.colon_90", colon$status, colon$id, "colon", level = 0.9)
record_clustered("clustered.sim", simulated$event, simulated$cluster, "simulated")
record_clustered("clustered.sim_rare", as.integer(simulated$cause == 3), simulated$cluster, "simulated")

# balance: MatchIt for numeric and binary covariates, the formula of Yang and Dalton for categories
balance <- summary(matchit(high ~ Age + Gender + CXCL17T, hcc, method = NULL, estimand = "ATE", distance = "glm"),
                   standardize = TRUE)$sum.all
record("smd.hcc", balance[c("Age", "Gender", "CXCL17T"), "Std. Mean Diff."], "MatchIt::summary.matchit", "hcc_resection")
record("variance_ratio.hcc", balance[c("Age", "CXCL17T"), "Var. Ratio"], "MatchIt::summary.matchit", "hcc_resection")
weighted_smd <- function(x, g, w) {
  one <- cov.wt(cbind(x[g == 1]), w[g == 1]); zero <- cov.wt(cbind(x[g == 0]), w[g == 0])
  (one$center - zero$center) / sqrt((one$cov + zero$cov) / 2)
}
record("smd.sim_weighted", c(weighted_smd(simulated$x1, simulated$x2, simulated$weight), weighted_smd(simulated$x3, simulated$x2, simulated$weight)),
       "stats::cov.wt", "simulated")
yang_dalton <- function(category, g, w) {
  p <- sapply(c(1, 0), function(a) tapply(w[g == a], factor(category)[g == a], sum) / sum(w[g == a]))[-1, ]
  covariance <- function(p) diag(p) - outer(p, p)
  d <- p[, 1] - p[, 2]
  sqrt(mahalanobis(d, 0, (covariance(p[, 1]) + covariance(p[, 2])) / 2))
}
record("smd.sim_group", c(yang_dalton(simulated$group, simulated$x2, rep(1, nrow(simulated))), yang_dalton(simulated$group, simulated$x2, simulated$weight)),
       "stats::mahalanobis", "simulated")

tight <- glm.control(epsilon = 1e-13, maxit = 100)
at_maximum <- function(fit) update(fit, start = coef(fit)) # vcov() belongs to the weights of the last but one iteration
fit <- glm(high ~ Age + Gender + Cirrhosis + AFP + Tumorsize + Tumormultiplicity, binomial, hcc, control = tight)
fit <- at_maximum(fit)
record("logistic.hcc.coef", coef(fit), "stats::glm(binomial)", "hcc_resection")
record("logistic.hcc.se", sqrt(diag(vcov(fit))), "stats::glm(binomial)", "hcc_resection")
record("logistic.hcc.loglik", logLik(fit), "stats::glm(binomial)", "hcc_resection")
fit <- glm(x2 ~ x1 + x3, binomial, simulated, weights = frequency, control = tight)
fit <- at_maximum(fit)
record("logistic.sim_frequency.coef", coef(fit), "stats::glm(binomial)", "simulated")
record("logistic.sim_frequency.se", sqrt(diag(vcov(fit))), "stats::glm(binomial)", "simulated")
q <- quantile(hcc$Age, c(0.05, 0.35, 0.65, 0.95))
fit <- glm(high ~ ns(Age, knots = q[2:3], Boundary.knots = q[c(1, 4)]) + factor(Gender) + factor(BCLC), binomial, hcc, control = tight)
record("propensity.hcc_spline.fitted", fitted(fit), "splines::ns + stats::glm(binomial)", "hcc_resection")
record("propensity.hcc_spline.knots", q, "stats::quantile", "hcc_resection")
e <- fitted(fit)
record("propensity.hcc_weighted_smd", weighted_smd(hcc$Age, hcc$high, ifelse(hcc$high == 1, 1 - e, e)), "splines::ns + stats::glm, stats::cov.wt", "hcc_resection")
write_values("tables", c("survival", "MatchIt", "survey"))
