# Linear mixed models of repeated measurements by REML: nlme::lme.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages(library(nlme))

d <- read.csv(file.path(repository, "tests/reference/data/repeated.csv"))
d$year <- d$months / 12
d$centred <- d$base - mean(d$base[!duplicated(d$person)])
# Harrell's restricted cubic spline in years, knots at 3, 8, 14 and 24 months
spline <- function(x, t) {
  k <- length(t)
  cubed <- function(z) pmax(z, 0)^3
  cbind(x, matrix(nrow = length(x), sapply(1:(k - 2), function(j) {
    (cubed(x - t[j]) - cubed(x - t[k - 1]) * (t[k] - t[j]) / (t[k] - t[k - 1]) +
       cubed(x - t[k]) * (t[k - 1] - t[j]) / (t[k] - t[k - 1])) / (t[k] - t[1])^2
  })))
}
s <- spline(d$months, c(3, 8, 14, 24)) / 12
d[c("s1", "s2", "s3")] <- s
control <- lmeControl(maxIter = 500, msMaxIter = 5000, msMaxEval = 5000, tolerance = 1e-14, niterEM = 200, msTol = 1e-16)

fit_with <- function(name, random) {
  fit <- lme(change ~ arm * (s1 + s2 + s3) + centred, random = random, data = d, method = "REML", control = control)
  what <- paste0("nlme::lme(random = ", deparse(random), ")")
  terms <- c("(Intercept)", "arm", "s1", "s2", "s3", "arm:s1", "arm:s2", "arm:s3", "centred")
  covariance <- vcov(fit)[terms, terms]
  # difference of the arms at month 12
  difference <- c(0, 1, 0, 0, 0, spline(12, c(3, 8, 14, 24)) / 12, 0)
  record(paste0(name, ".coef"), fixef(fit)[terms], what, "repeated")
  record(paste0(name, ".se"), sqrt(diag(covariance)), what, "repeated")
  record(paste0(name, ".random_cov"), as.vector(unclass(getVarCov(fit))), what, "repeated")
  record(paste0(name, ".residual_variance"), fit$sigma^2, what, "repeated")
  record(paste0(name, ".log_likelihood"), as.numeric(logLik(fit)), what, "repeated")
  record(paste0(name, ".difference"), c(sum(difference * fixef(fit)[terms]),
         sqrt(as.numeric(t(difference) %*% covariance %*% difference))), what, "repeated")
}
fit_with("slope", ~ year | person)
fit_with("intercept", ~ 1 | person)
write_values("mixed_model", "nlme")
