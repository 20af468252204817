output "bucket" {
  description = "The bucket."
  value       = aws_s3_bucket.data.id
}

output "instance_profile" {
  description = "For IamInstanceProfile of the workers in aws.yaml."
  value       = aws_iam_instance_profile.nodes.arn
}
